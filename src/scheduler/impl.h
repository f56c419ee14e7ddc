/*
 * What the files of this folder share: nodes with their sums, services with their counts and
 * failures a node. Private to the folder.
 */
#pragma once

#include "base/hash.h"
#include "model/task_rights.h"
#include "scheduler/constraint.h"
#include "scheduler/scheduler.h"

struct sched_port {
	uint32_t key;  /* protocol and number */
	uint32_t uses; /* more than one only while the store is being healed */
};

struct sched_node {
	char *id;
	const struct node *n; /* NULL: unknown or gone, though tasks may hold something there */
	uint64_t serial;      /* never used again: orders the counts of a service */
	uint64_t hash;        /* of the id: breaks ties */
	uint32_t index;       /* its place in scheduler.nodes and in scratch arrays */
	uint32_t active;      /* tasks that are wanted here */
	uint32_t held;        /* tasks that hold something here */
	bool ready;           /* takes new tasks */
	int64_t cpus;         /* nano CPUs that are not reserved; below 0 when overcommitted */
	int64_t memory;       /* likewise, bytes */
	int64_t reserved_cpus, reserved_memory;
	struct generics generic_held; /* what tasks were given here */
	struct generics generic_free; /* what the node has beyond that */
	struct sched_port *ports;
	size_t n_ports;
	UT_hash_handle hh;
};

/* Active tasks of a service on one node. */
struct sched_count {
	struct sched_node *node;
	uint32_t active;
};

struct sched_failures {
	struct sched_node *node;
	uint64_t template_version;
	int64_t at[SCHED_FAILURES]; /* the latest ones, in no order */
	uint32_t n;
};

struct sched_service {
	char *id;
	struct sched_count *counts; /* by the nodes' serials */
	size_t n_counts, cap_counts;
	struct sched_failures *failures;
	size_t n_failures;
	UT_hash_handle hh;
};

struct sched_placed {
	struct sched_node *node;
	struct sched_group group;
	struct generics *given; /* of `group`; NULL: none */
};

struct scheduler {
	struct sched_node *by_id;
	struct sched_node **nodes; /* dense; a hole is NULL */
	size_t n_nodes, cap_nodes;
	uint64_t serial;
	struct sched_service *services;
	struct sched_placed *placed; /* to be rolled back */
	size_t n_placed, cap_placed;
	size_t last_placed; /* of these, where the last placement begins */
	void *scratch;      /* of scheduler_place() */
	size_t scratch_size;
};

/* What a group needs of a node, worked out once. */
struct sched_needs {
	int64_t cpus;
	int64_t memory;
	uint32_t max_replicas; /* 0: no bound */
	bool has_ports;
	bool nothing_fits;              /* its constraints cannot be read */
	const struct generics *generic; /* NULL: none */
	struct task_rights rights;
	const struct sched_group *g;
	struct constraints constraints;
};

/* The filters in their order; the first that refuses is the reason. */
enum sched_filter {
	FILTER_READY,
	FILTER_RESOURCES,
	FILTER_PLUGIN,
	FILTER_PRIVILEGED,
	FILTER_DEVICE,
	FILTER_CONSTRAINT,
	FILTER_PLATFORM,
	FILTER_PORT,
	FILTER_REPLICAS,
	FILTER_MAX,
	FILTER_NONE = FILTER_MAX,
};

/* How good a node is for a task of the group: see place.c for the order. */
struct sched_rank {
	bool failing;
	uint32_t same;  /* tasks of the service there */
	uint32_t total; /* tasks there in all */
	uint64_t tie;
	struct sched_node *node;
};

void sched_needs_init(struct sched_needs *ret, const struct sched_group *g);
void sched_needs_done(struct sched_needs *n);
/* FILTER_NONE when the node fits; `same` is how many tasks of the service it has. */
enum sched_filter sched_filter_node(const struct sched_needs *needs, const struct sched_node *node,
				    uint32_t same);
/* The filters that can change while a group is being placed. */
bool sched_still_fits(const struct sched_needs *needs, const struct sched_node *node,
		      uint32_t same);
void sched_explain(const uint32_t refused[FILTER_MAX], struct buf *why);

uint64_t sched_hash(const char *text);
uint64_t sched_mix(uint64_t x);
/* Entry `i` of a heap of `n` goes down to where it belongs. */
void sched_heap_sink(struct sched_rank *heap, size_t n, size_t i);
/* Whether the template fails too often on this node. */
bool sched_is_failing(const struct sched_failures *f, uint64_t template_version, int64_t now_ns);
/* A port's key, or 0 when it takes no port of the host. */
uint32_t sched_port_key(const struct port_config *p);
struct sched_service *sched_service_find(const struct scheduler *s, const char *id);
struct sched_node *sched_node_find(const struct scheduler *s, const char *id);
void sched_hold_on(struct scheduler *s, const struct sched_group *g, struct sched_node *node,
		   bool active);
