/*
 * See core_holds.h.
 */
#include "manager/core_holds.h"

static void group_of(const struct template *template, struct sched_group *ret)
{
	*ret = (struct sched_group){.service = template->service,
				    .template_version = template->template_version,
				    .spec = &template->spec,
				    .endpoint = template->endpoint};
}

bool core_task_holds(const struct store *s, const struct task *t, struct sched_group *ret,
		     bool *ret_active)
{
	const struct template *template;

	if (!t || !t->node || t->status.state < TASK_ASSIGNED || task_is_over(t))
		return false;
	template = store_template(s, t->service, t->template_version);
	if (!template)
		return false;
	group_of(template, ret);
	ret->given = &t->generic;
	*ret_active = task_is_live(t);
	return true;
}

void core_task_failed(struct scheduler *s, const struct task *t)
{
	if (t->node && (t->status.state == TASK_FAILED || t->status.state == TASK_REJECTED))
		scheduler_failed(s, t->service, t->template_version, t->node, t->o.updated);
}

bool core_service_group(const struct store *s, const struct service *svc, struct sched_group *ret)
{
	const struct template *template = store_template(s, svc->o.id, svc->template_version);

	if (template)
		group_of(template, ret);
	return template != NULL;
}
