/*
 * See swarm_state.h.
 */
#include "main/swarm_state.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#define T struct session_manager
static const struct field saved_manager_fields[] = {
	FIELD_STR(T, 0, node, "NodeID", 0),
	FIELD_STR(T, 0, addr, "Addr", 0),
};
#undef T
static const struct table saved_manager_table = {
	.name = "saved_manager",
	.fields = saved_manager_fields,
	.n_fields = ARRAY_LEN(saved_manager_fields),
	.size = sizeof(struct session_manager),
};

#define KEY_BEGIN "-----BEGIN PRIVATE KEY-----"

static const char *const role_names[] = {"worker", "manager"};

#define T struct swarm_state
static const struct field swarm_state_fields[] = {
	FIELD_STR(T, 0, node, "NodeID", FIELD_REQUIRED),
	FIELD_STR(T, 0, cluster, "ClusterID", FIELD_REQUIRED),
	FIELD_ENUM(T, 0, role, "Role", 0, role_names),
	FIELD_U64(T, 0, raft_id, "RaftID", 0),
	FIELD_STR(T, 0, listen_addr, "ListenAddr", 0),
	FIELD_STR(T, 0, advertise_addr, "AdvertiseAddr", 0),
	FIELD_STR(T, 0, data_addr, "DataAddr", 0),
	FIELD_U32(T, 0, data_port, "DataPort", 0),
	{.json = "Managers",
	 .offset = offsetof(T, managers),
	 .type = FIELD_TYPE_LIST,
	 .sub = &saved_manager_table},
	FIELD_STR(T, 0, key, NULL, FIELD_SECRET),
	FIELD_STR(T, 0, cert, NULL, 0),
	FIELD_STR(T, 0, roots, NULL, 0),
};
#undef T
static TABLE_DEFINE(swarm_state, swarm_state_fields);

void swarm_state_done(struct swarm_state *s)
{
	table_done(&swarm_state_table, s);
}

static int dir_open(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "cannot open %s", dir) : fd;
}

static int text_load(int dirfd, const char *dir, const char *name, char **ret, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_FILE_SMALL);
	int rc = file_read_at(dirfd, name, &text);

	if (rc < 0)
		return err_code(e, rc, "cannot read %s/%s", dir, name);
	*ret = buf_take(&text);
	return 0;
}

/* Key and certificate are one file, as they are only good together: the certificate comes first. */
static int identity_load(int dirfd, const char *dir, struct swarm_state *ret, struct err *e)
{
	auto_free char *text = NULL;
	char *key;
	int rc = text_load(dirfd, dir, "identity.pem", &text, e);

	if (rc < 0)
		return rc;
	key = text ? strstr(text, KEY_BEGIN) : NULL;
	if (!key || key == text)
		return err_set(e, -EINVAL, "%s/identity.pem has no certificate and key", dir);
	ret->key = xstrdup(key);
	explicit_bzero(key, strlen(key));
	*key = 0;
	ret->cert = TAKE_PTR(text);
	return 0;
}

int swarm_state_load(const char *dir, struct swarm_state *ret, struct err *e)
{
	auto_buf json = BUF_INIT(LIMIT_FILE_SMALL);
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_sys(e, "cannot open %s", dir);
	rc = file_read_at(fd, "node.json", &json);
	if (rc == -ENOENT)
		return -ENOENT; /* an init or join that was cut short: as if it had not been */
	if (rc < 0)
		return err_code(e, rc, "cannot read %s/node.json", dir);
	rc = json_read(&swarm_state_table, buf_text(&json), json.len, ret, e);
	if (rc < 0)
		return err_wrap(e, "%s/node.json", dir);
	rc = identity_load(fd, dir, ret, e);
	if (rc == 0)
		rc = text_load(fd, dir, "roots.pem", &ret->roots, e);
	if (rc < 0)
		swarm_state_done(ret);
	return rc;
}

static int text_store(int dirfd, const char *dir, const char *name, const char *text, mode_t mode,
		      struct err *e)
{
	int rc = file_write_atomic(dirfd, name, text, strlen(text), mode);

	return rc < 0 ? err_code(e, rc, "cannot write %s/%s", dir, name) : 0;
}

static int identity_store(int dirfd, const char *dir, const struct swarm_state *s, struct err *e)
{
	char *text = xasprintf("%s%s", s->cert, s->key);
	int rc = text_store(dirfd, dir, "identity.pem", text, 0600, e);

	explicit_bzero(text, strlen(text));
	free(text);
	return rc;
}

int swarm_state_update(const char *dir, const struct swarm_state *s, struct err *e)
{
	auto_buf json = BUF_INIT(LIMIT_FILE_SMALL);
	auto_close int fd = dir_open(dir, e);

	if (fd < 0)
		return fd;
	if (json_write(&swarm_state_table, s, &json) < 0)
		return err_set(e, -EMSGSIZE, "the node's state is too large to be stored");
	return text_store(fd, dir, "node.json", buf_text(&json), 0600, e);
}

int swarm_state_store(const char *dir, const struct swarm_state *s, struct err *e)
{
	auto_close int fd = -1;
	int rc = dir_make(dir, 0700, e);

	if (rc < 0)
		return rc;
	fd = dir_open(dir, e);
	if (fd < 0)
		return fd;
	rc = identity_store(fd, dir, s, e);
	if (rc == 0)
		rc = text_store(fd, dir, "roots.pem", s->roots, 0644, e);
	return rc < 0 ? rc : swarm_state_update(dir, s, e);
}

int swarm_state_remove(const char *dir, struct err *e)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* First what makes the rest count, so that a crash in between leaves no half member. */
	if (fd >= 0)
		(void)unlinkat(fd, "node.json", 0);
	return dir_remove(AT_FDCWD, dir, e);
}

int swarm_state_identity(const struct swarm_state *s, struct tls_identity **ret, struct err *e)
{
	struct pkey *key = NULL;
	auto_certs chain = {0}, roots = {0};
	int rc = pkey_read(s->key, strlen(s->key), &key, e);

	if (rc == 0)
		rc = certs_read(s->cert, strlen(s->cert), &chain, e);
	if (rc == 0)
		rc = certs_read(s->roots, strlen(s->roots), &roots, e);
	if (rc == 0)
		rc = tls_identity_new(key, &chain, &roots, ret, e);
	pkey_unref(key);
	return rc;
}
