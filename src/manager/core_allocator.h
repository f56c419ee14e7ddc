/*
 * What the files of the allocator share. Included by core_allocator*.c alone.
 *
 * The store is the only truth: pools, VXLAN ids and ports in use are derived from its objects. What
 * a step gives out is marked until the step ends and then taken back: it counts again when its
 * event comes, so that nothing leaks when a batch is lost and nothing is given twice in a batch.
 *
 * A task keeps its addresses until it is over (model/task.h): its agent has said that it ended, it
 * was never assigned, or it is deleted. A node that is down does not free them, as its containers
 * may run on behind a broken link; nor does the constraint enforcer's word alone. Addresses,
 * subnets and VXLAN ids are given out in turn, so that what was freed is used again as late as can
 * be, when no host remembers it.
 */
#pragma once

#include "manager/core_impl.h"
#include "model/ipam.h"

#define VNI_FIRST 4096
#define VNI_LAST ((1u << 24) - 1)
#define PORT_FIRST 30000
#define PORT_LAST 32767
#define PROTOCOLS (PORT_SCTP + 1)

/* A network's pools; only those of networks that are allocated, or need not be. */
struct alloc_network {
	char *id;
	uint32_t vni;             /* 0: not an overlay, its tasks get no address from us */
	struct addr_pool **pools; /* one a subnet */
	size_t n_pools;
	UT_hash_handle hh;
};

/* Who has a published port, or a VXLAN id. */
struct alloc_number {
	uint32_t key;
	char *owner; /* the object's id */
	UT_hash_handle hh;
};

/* An object that cannot be allocated now, and why. */
struct alloc_blocked {
	char *id;
	char *why;
	UT_hash_handle hh;
};

/* Marked in this step alone. */
struct alloc_mark {
	struct addr_pool *pool; /* NULL: a number */
	struct net_ip ip;
	struct alloc_number **numbers;
	uint32_t key;
};

struct core_allocator {
	struct core core;
	struct alloc_network *networks;
	struct alloc_number *vnis;
	struct alloc_number *ports; /* ingress; protocol << 16 | port */
	uint32_t next_vni;
	uint32_t next_port[PROTOCOLS];
	struct net_prefix last_subnet; /* family 0: none yet */
	char *ingress;                 /* the ingress network's id, NULL where there is none */

	struct idset dirty_networks;
	struct idset dirty_services;
	struct idset tasks;   /* NEW, to be looked at */
	struct idset waiting; /* NEW, until something is freed */
	struct alloc_blocked *blocked;
	bool freed;
	int64_t retry_ns;

	struct alloc_mark *marks;
	size_t n_marks, cap_marks;
	struct net_prefix *new_subnets; /* given out in this step */
	size_t n_new_subnets;
};

/* core_allocator.c */
struct alloc_number *alloc_number_find(struct alloc_number *numbers, uint32_t key);
void alloc_number_take(struct alloc_number **numbers, uint32_t key, const char *owner);
/* Only the owner's; NULL drops whoever's it is. */
void alloc_number_drop(struct alloc_number **numbers, uint32_t key, const char *owner);
void alloc_mark_number(struct core_allocator *c, struct alloc_number **numbers, uint32_t key,
		       const char *owner);
/* Takes the next address of the network's pools of the family; false when there is none. */
bool alloc_address(struct core_allocator *c, struct alloc_network *n, uint8_t family,
		   char ret[NET_PREFIX_TEXT]);
/* Takes back what was marked from `from` on. */
void alloc_unmark(struct core_allocator *c, size_t from);
void alloc_block(struct core_allocator *c, const char *id, const char *why);
void alloc_unblock(struct core_allocator *c, const char *id);
/* NULL when it is not blocked. */
const char *alloc_why(const struct core_allocator *c, const char *id);
/* Why a network is not there yet: -EAGAIN while it is being allocated, else the reason. */
int alloc_network_missing(const struct core_allocator *c, const struct store *s, const char *id,
			  struct err *e);

/* core_allocator_network.c */
bool alloc_network_is_overlay(const struct network *n);
struct alloc_network *alloc_network_find(const struct core_allocator *c, const char *id);
void alloc_network_event(struct core *core, const struct store *s, const struct network *old,
			 const struct network *new);
void alloc_network_free(struct core_allocator *c, struct alloc_network *n);
/* The steps return true when they have to look again though they changed nothing. */
bool alloc_network_step(struct core_allocator *c, struct core_step *step, const char *id);
/* An address of the network, as a task or a service holds it. */
void alloc_network_hold(struct core_allocator *c, const char *network, const char *address,
			bool hold);

/* core_allocator_service.c */
void alloc_service_event(struct core *core, const struct store *s, const struct service *old,
			 const struct service *new);
bool alloc_service_step(struct core_allocator *c, struct core_step *step, const char *id);
bool alloc_service_has_ingress(const struct service *svc);

/* core_allocator_task.c */
void alloc_task_event(struct core *core, const struct store *s, const struct task *old,
		      const struct task *new);
bool alloc_task_step(struct core_allocator *c, struct core_step *step, const char *id);
