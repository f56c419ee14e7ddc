/*
 * The services workload: the real manager (manager/replica.h with its store, its control requests
 * and all its cores) with simulated users and agents. This is what its parts share: the managers
 * (sim_services.c), what must always hold (sim_services_check.c), requests (sim_services_call.c),
 * users (sim_services_users.c) and agents (sim_services_agents.c).
 */
#pragma once

#include "base/clock.h"
#include "manager/membership.h"
#include "manager/replica.h"
#include "manager/service_spec.h"
#include "sim/sim_node.h"
#include "sim/sim_workload.h"

#define SVC_USERS 4
#define SVC_AGENTS 5
#define SVC_SERVICES 5
#define SVC_NETWORKS 3
#define SVC_SECRETS 4
#define SVC_REPLICAS 4
#define SVC_CPUS 4
/* Every so many versions the managers' whole stores are compared. */
#define SVC_COMPARE 16

struct services;
struct call;
struct agent;
struct user;

/* One life of a manager. */
struct manager_life {
	struct services *services;
	struct sim_node *node;
	struct replica *replica;
	struct membership *membership;
	struct store_watch watch;
	uint64_t batch;      /* hash of the batch that is being told */
	uint64_t leading_us; /* since when it leads and is ready; 0: it does not */
	uint64_t seen_us[SVC_AGENTS];
	bool gone; /* a secret went in the batch that is being told */
};

/* What was applied as each version, whoever was first. */
struct version_record {
	uint64_t batch; /* hash of its changes, 0: not applied yet */
	uint64_t whole; /* hash of the whole store, each SVC_COMPARE versions */
};

/* A write that a user has asked for. */
enum write_status { WRITE_OPEN, WRITE_OK, WRITE_REFUSED, WRITE_UNKNOWN };
struct write {
	enum control_op op;
	enum object_kind kind;
	enum write_status status;
	bool unmarked;    /* nothing in the store tells that it was this write */
	uint64_t after;   /* the highest version acknowledged to anybody when it was asked */
	uint64_t version; /* acknowledged */
	uint64_t applied; /* version that it was seen in; 0: never */
	char id[ID_CLUSTER_LEN + 1];
};

/* What a manager's role has in store for it (sim_services_roles.c). */
struct role {
	bool asks;            /* to be known, or for a certificate */
	bool leaves;          /* its own store says that it is none */
	uint64_t stray_since; /* the leader's store does not know it as what it is */
};

/* Secrets and configs at one agent (sim_services_secrets.c). */
struct agent_secrets {
	struct strs asked; /* on their way */
	struct strs held;
};

struct cron_record;
struct spec_record;

struct services {
	struct sim *sim;
	bool schedules; /* the workload of that name: scheduled jobs, for minutes */
	struct role roles[SIM_NODES];
	bool roles_known; /* all managers are nodes of the store: membership is kept */
	uint64_t last_raft_id;
	struct strs abandoned; /* tasks whose node was given up */
	struct strs gone;      /* secrets, in the batch that is being told */
	struct cron_record *crons;
	struct spec_record *specs;
	unsigned started, rollbacks;
	struct version_record *versions;
	size_t n_versions;
	uint64_t highest; /* version applied anywhere */
	struct write *writes;
	size_t n_writes, cap_writes;
	uint64_t acknowledged_version;
	unsigned acknowledged;
	bool trouble, stopped;
	struct user *users;
	struct agent *agents;
	struct call *admin;
	uint64_t quiet_version, quiet_since;
	uint64_t shown[SIM_NODES]; /* the version that each manager has shown to readers */
};

/* The life of a manager that is up, NULL for one that is down. */
struct manager_life *svc_life(const struct sim_node *n);
/* The manager that leads and is ready, in the highest term. */
struct manager_life *svc_leader(struct services *v);
/* A manager whose store may be read, chosen at random; NULL. Checks that reads are monotonic. */
struct manager_life *svc_reader(struct services *v, struct sim_node *n);

/* Requests */

struct call {
	struct replica_op op;
	struct control_request request;
	struct control_answer answer;
	struct services *services;
	struct sim_node *target;     /* where it is or is going to */
	struct manager_life *life;   /* of a demotion that waits for a vote to go */
	struct membership *unvoting; /* the vote is gone */
	bool sent;                   /* it is in the target's queue */
	/* Once, with what replica.h says, or -ECONNRESET when it was lost on its way. */
	void (*done)(void *arg, struct call *call, int status, uint64_t version);
	void *arg;
};

struct call *call_new(struct services *v, enum control_op op);
/* Sends it: `done` comes, perhaps at once. It is freed after that. */
void call_send(struct call *call, struct sim_node *target, uint64_t delay_us);
/* The asker does not wait any more: true when nothing will come of it. */
bool call_abandon(struct call *call);

/* Checks */

void check_change(struct manager_life *m, const struct object *old, const struct object *new);
void check_version(struct manager_life *m, uint64_t version);
uint64_t check_whole(const struct manager_life *m);
/* The same for moves (sim_services_moves.c): of one that was begun, and of all. */
void check_move(struct manager_life *m, const struct task *new);
void check_moves(struct sim *sim, const struct store *s);
bool move_is_open(const struct task *t);
/* Of a task that has taken another's place: it found no node while that one's was drained. */
bool drain_is_over(const struct task *t);
/* A write of this number was applied. */
size_t write_ask(struct services *v, const struct control_request *r);
void write_answer(struct services *v, size_t number, int status, uint64_t version,
		  const struct control_answer *a);
/* NULL when all is as the users asked for, else what is not; in memory of its own. */
const char *check_converged(struct services *v, const struct store *s);
void check_writes(struct services *v, const struct store *s);

/* What really runs, and where rollbacks lead (sim_services_slots.c). */
void check_runs(struct services *v, const struct store *view, const struct task *t);
void check_completed(struct services *v, const struct store *s, const struct task *t);
void slots_node_changed(struct services *v, const struct store *s, const struct node *old,
			const struct node *new);
void slots_service_changed(struct services *v, const struct service *old,
			   const struct service *new);
void slots_free(struct services *v);
/* Whether the task's container runs, in truth. */
bool agent_runs(const struct services *v, const struct task *t);

/* Secrets and configs */
struct call *secret_call(struct services *v, const struct store *view);
void secrets_choose(struct services *v, const struct store *view, struct container_spec *c);
bool secrets_are_held(const struct agent_secrets *a, const struct store *view,
		      const struct task *t);
/* A turn of an agent: it is sent what its tasks need. */
void secrets_turn(struct services *v, struct agent_secrets *a, const char *node,
		  const struct store *view);
void secrets_forget(struct agent_secrets *a);
void check_secrets(struct sim *sim, const struct store *s);

/* Scheduled jobs */
void schedule_choose(struct services *v, struct strmap *labels);
void check_crons(struct services *v, const struct store *s);
/* A service that is started again and again: nothing rests while there is one. */
const struct service *schedule_left(const struct store *view);
bool schedules_are_decided(const struct store *view, int64_t now_ns);
void crons_free(struct services *v);

/* Roles of managers */
void roles_start(struct services *v);
void roles_wake(struct manager_life *m);
void roles_changed(struct manager_life *m, const struct node *old, const struct node *new);
/* NULL: nothing at present. */
struct call *role_call(struct services *v, const struct store *view);
struct call *role_admin_call(struct services *v, const struct store *view);

/* Users and agents */

void users_start(struct services *v);
bool users_idle(const struct services *v);
void users_free(struct services *v);
void admin_turn(struct services *v);
void agents_start(struct services *v);
void agents_trouble(struct services *v);
void agents_heal(struct services *v);
/* Which agent has this node id; -1 for none. */
int agent_place(const char *node);
void agents_free(struct services *v);

/* The managers have this flaw (sim_services_flaws.c), and the real functions beneath it. */
void flaw_set(enum sim_fault fault);
void __real_update_rules_of(const struct update_config *c, struct update_rules *ret);
uint64_t __real_job_completions(const struct service_spec *spec);

/* The fault: allocators that forget at each reset what is in use. */
void allocator_forgets(bool forgets);
