/*
 * Small flaws that can be put into the managers, each of which one of the checks must see. The
 * simulation's build has calls between the product's files led through here (the linker's --wrap),
 * so that nothing of them is in the product. The checks themselves call the real functions.
 */
#include "sim/sim_services_impl.h"

#include <string.h>

#include "manager/changes.h"
#include "manager/core_impl.h"
#include "manager/secret_use.h"
#include "model/schedule.h"

static enum sim_fault flaw;

void flaw_set(enum sim_fault fault)
{
	flaw = fault;
}

void __wrap_update_rules_of(const struct update_config *c, struct update_rules *ret);
void __wrap_update_rules_of(const struct update_config *c, struct update_rules *ret)
{
	__real_update_rules_of(c, ret);
	if (flaw == SIM_FAULT_UPDATE_TOO_MANY && ret->parallelism != UINT64_MAX)
		ret->parallelism++;
	if (flaw == SIM_FAULT_UPDATE_ORDER)
		ret->start_first = true;
}

void __real_service_spec_roll_back(struct service *s, bool swap, const struct store *view,
				   int64_t now_ns, struct changes *out);
void __wrap_service_spec_roll_back(struct service *s, bool swap, const struct store *view,
				   int64_t now_ns, struct changes *out);
void __wrap_service_spec_roll_back(struct service *s, bool swap, const struct store *view,
				   int64_t now_ns, struct changes *out)
{
	if (flaw == SIM_FAULT_ROLLBACK_ELSEWHERE)
		s->previous_spec->task.force_update++;
	__real_service_spec_roll_back(s, swap, view, now_ns, out);
}

uint64_t __wrap_job_completions(const struct service_spec *spec);
uint64_t __wrap_job_completions(const struct service_spec *spec)
{
	return __real_job_completions(spec) + (flaw == SIM_FAULT_JOB_TOO_OFTEN);
}

bool __real_secret_is_for(const struct store *s, const char *node, const char *id);
bool __wrap_secret_is_for(const struct store *s, const char *node, const char *id);
bool __wrap_secret_is_for(const struct store *s, const char *node, const char *id)
{
	return flaw == SIM_FAULT_SECRET_TO_ALL || __real_secret_is_for(s, node, id);
}

void __real_changes_delete(struct changes *c, const struct object *old);
void __wrap_changes_delete(struct changes *c, const struct object *old);
void __wrap_changes_delete(struct changes *c, const struct object *old)
{
	if (flaw != SIM_FAULT_SECRET_STAYS || old->kind != KIND_SECRET)
		__real_changes_delete(c, old);
}

int __real_secrets_check(const struct store *view, const struct container_spec *s, struct err *e);
int __wrap_secrets_check(const struct store *view, const struct container_spec *s, struct err *e);
int __wrap_secrets_check(const struct store *view, const struct container_spec *s, struct err *e)
{
	return flaw == SIM_FAULT_SECRET_MISSING ? 0 : __real_secrets_check(view, s, e);
}

bool __real_core_slot_is_idle(const struct store *s, const struct slot *slot, uint64_t iteration,
			      const struct task *except);
bool __wrap_core_slot_is_idle(const struct store *s, const struct slot *slot, uint64_t iteration,
			      const struct task *except);
bool __wrap_core_slot_is_idle(const struct store *s, const struct slot *slot, uint64_t iteration,
			      const struct task *except)
{
	return flaw == SIM_FAULT_SLOT_NOT_IDLE ||
	       __real_core_slot_is_idle(s, slot, iteration, except);
}

int64_t __real_cron_next(const struct cron *c, const struct zone *z, int64_t after);
int64_t __wrap_cron_next(const struct cron *c, const struct zone *z, int64_t after);
int64_t __wrap_cron_next(const struct cron *c, const struct zone *z, int64_t after)
{
	/* In the minute of a time that is meant, it is meant again and again. */
	if (flaw == SIM_FAULT_CRON_TWICE && __real_cron_next(c, z, after - 60) <= after)
		return after;
	return __real_cron_next(c, z, after);
}

int __real_schedule_read(const struct service_spec *spec, struct schedule *ret, struct err *e);
int __wrap_schedule_read(const struct service_spec *spec, struct schedule *ret, struct err *e);
int __wrap_schedule_read(const struct service_spec *spec, struct schedule *ret, struct err *e)
{
	int rc = __real_schedule_read(spec, ret, e);

	if (rc == 0 && flaw == SIM_FAULT_CRON_OVERLAP)
		ret->overlap = OVERLAP_ALLOW;
	return rc;
}
