/*
 * A service's specification from the flags of `service create`, and the parts that update shares.
 * Pure; the API validates.
 */
#pragma once

#include "cli/flags.h"
#include "model/service.h"

/* Fills the zeroed `ret` from flags and "IMAGE [COMMAND] [ARG...]". -EINVAL with a sentence. */
int service_spec_fill(const struct flags *f, struct service_spec *ret, struct err *e);
/* Adds, or takes away, the preferences that the flag names; -EINVAL for what is none. */
int service_prefs_add(struct placement *p, const struct flags *f, const char *flag, struct err *e);
int service_prefs_remove(struct placement *p, const struct flags *f, const char *flag,
			 struct err *e);

/* What create and update have in common; a flag that was not given changes nothing. */
int service_container(struct container_spec *c, const struct flags *f, struct err *e);
void service_resources(struct task_spec *t, const struct flags *f);
/* Generic resources: those of `add` are added or replaced, the kinds of `remove` (NULL: none) go.
 */
int service_generic(struct task_spec *t, const struct flags *f, const char *add, const char *remove,
		    struct err *e);
/* --privileged and devices, which stand in labels of the container: see model/task_rights.h. */
int service_rights(struct container_spec *c, const struct flags *f, const char *add,
		   const char *remove, struct err *e);
/* Lists of the container: those of `add` are added or replaced, those of `remove` (NULL: none) go.
 */
void service_texts(struct strs *list, const struct flags *f, const char *add, const char *remove);
void service_hosts(struct container_spec *c, const struct flags *f, const char *add,
		   const char *remove);
int service_ulimits(struct container_spec *c, const struct flags *f, const char *add,
		    const char *remove, struct err *e);
/* `names`: of nameservers, search domains and options, each to add and to remove (or NULL). */
void service_dns(struct container_spec *c, const struct flags *f, const char *const names[6]);
/* --cap-add and --cap-drop; of an update they turn back what the other did before. */
void service_caps(struct container_spec *c, const struct flags *f, bool create);
void service_log_driver(struct task_spec *t, const struct flags *f);
int service_credentials(struct container_spec *c, const struct flags *f, struct err *e);
int service_restart(struct task_spec *t, const struct flags *f, struct err *e);
/* --endpoint-mode; makes the endpoint when it is given. */
int service_endpoint_mode(struct service_spec *s, const struct flags *f, struct err *e);
void service_update_config(struct service_spec *s, const struct flags *f);
/* Bounds how long a new task may take to come up, unless the service says so already. */
#define UPDATE_DEADLINE_DEFAULT "5m"
void service_deadline(struct strmap *labels, const struct flags *f);
/* --autoscale "max=5,cpu=70" as labels; "off" takes them away. -EINVAL for another form. */
int service_autoscale(struct strmap *labels, const struct flags *f, struct err *e);

/*
 * The service that `service update` names, and the body that its flags ask for; `ret` is to be
 * freed in any case.
 */
struct cli;
struct service_view;
int service_update_body(struct cli *c, const struct flags *f, struct service_view *ret,
			struct buf *body, struct err *e);

/* --secret and --config; and what update adds to them and takes away. */
int service_files_fill(struct cli *c, struct container_spec *s, const struct flags *f,
		       struct err *e);
int service_files_change(struct cli *c, struct container_spec *s, const struct flags *f,
			 struct err *e);

/* One value of a flag, added to its list. -EINVAL with a sentence. */
int mount_parse(const char *text, struct mount *ret, struct err *e);
int network_parse(const char *text, struct network_attachment *ret, struct err *e);
int port_parse(const char *text, struct endpoint_spec *ret, struct err *e);
/* "NAME" or "source=NAME,target=PATH,uid=N,gid=N,mode=OCTAL". */
int file_parse(const char *text, char **ret_name, struct file_target *ret, struct err *e);
int ulimit_parse(const char *text, struct ulimit *ret, struct err *e);
/*
 * "KEY=value" and "KEY": then with the value of this process's own environment, and as it is where
 * there is none, which takes the image's away.
 */
void env_add(struct strs *env, const char *text);
/* "key=value" or "key" into the map. */
void label_put(struct strmap *m, const char *text);
