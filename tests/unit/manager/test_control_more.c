/*
 * manager/control.h: roles of nodes and their certificates; secrets and configs, and who uses them.
 */
#include "unit/manager/control_rig.h"

static int node_ask(struct store *s, const char *id, enum node_role role)
{
	const struct node *old = store_node(s, id);
	struct node_spec spec = {.role = role};
	struct control_request r = {.op = CONTROL_NODE_UPDATE,
				    .id = (char *)(uintptr_t)id,
				    .version = old->o.version.index,
				    .node = &spec};

	return ask(s, &r, NULL);
}

static int certify(struct store *s, const char *id, uint64_t fresh, uint64_t held)
{
	struct control_request r = {.op = CONTROL_NODE_CERTIFY,
				    .id = (char *)(uintptr_t)id,
				    .csr = (char *)(uintptr_t) "request",
				    .addr = (char *)(uintptr_t) "10.0.0.2:2377",
				    .raft_id = fresh,
				    .held_raft_id = held};

	return ask(s, &r, NULL);
}

static void node_add(struct store *s, const char *id)
{
	struct control_request r = {.op = CONTROL_NODE_JOIN,
				    .new_node = object_new(KIND_NODE, id, 1)};

	assert_int_equal(ask(s, &r, NULL), 0);
	object_free(&r.new_node->o);
}

#define OTHER "0000000000000000000000aaa"

static void a_promoted_node_gets_its_vote_with_its_certificate(void **state)
{
	struct store *s = with_cluster();

	node_add(s, OTHER);
	assert_int_equal(certify(s, OTHER, 0, 0), 0); /* a worker's renewal */
	assert_null(store_node(s, OTHER)->manager);
	assert_int_equal(node_ask(s, OTHER, ROLE_MANAGER), 0);
	assert_null(store_node(s, OTHER)->manager);
	assert_int_equal(certify(s, OTHER, 0, 0), -EAGAIN); /* by who took it for a worker */
	assert_int_equal(certify(s, OTHER, 71, 0), 0);
	assert_int_equal(store_node(s, OTHER)->manager->raft_id, 71);
	assert_string_equal(store_node(s, OTHER)->manager->addr, "10.0.0.2:2377");
	assert_int_equal(store_node(s, OTHER)->csr.n, strlen("request"));
	/* A renewal of one that has its log changes nothing of that, one that lost it does. */
	assert_int_equal(certify(s, OTHER, 72, 71), 0);
	assert_int_equal(store_node(s, OTHER)->manager->raft_id, 71);
	assert_int_equal(certify(s, OTHER, 73, 0), 0);
	assert_int_equal(store_node(s, OTHER)->manager->raft_id, 73);
	assert_int_equal(node_ask(s, OTHER, ROLE_WORKER), 0);
	assert_null(store_node(s, OTHER)->manager);
	assert_int_equal(certify(s, "0000000000000000000000bbb", 1, 0), -ENOENT);
	store_free(s);
}

static void the_last_manager_and_the_leader_are_not_demoted(void **state)
{
	struct store *s = with_cluster();

	assert_int_equal(node_ask(s, "self", ROLE_WORKER), -EINVAL);
	assert_non_null(strstr(last.msg, "last manager"));
	node_add(s, OTHER);
	assert_int_equal(node_ask(s, OTHER, ROLE_MANAGER), 0);
	assert_int_equal(node_ask(s, "self", ROLE_WORKER), -EBUSY);
	assert_int_equal(store_node(s, "self")->spec.role, ROLE_MANAGER);
	store_free(s);
}

static struct secret_spec secret_spec(const char *name, const char *data, size_t n)
{
	return (struct secret_spec){.name = (char *)(uintptr_t)name,
				    .data = {(uint8_t *)(uintptr_t)data, n}};
}

static int secret(struct store *s, uint32_t op, enum object_kind kind, const char *id,
		  uint64_t version, struct secret_spec *spec, char **ret_id)
{
	struct control_request r = {.op = op,
				    .kind = kind,
				    .id = (char *)(uintptr_t)id,
				    .version = version,
				    .secret = spec};

	return ask(s, &r, ret_id);
}

static void secrets_have_bounds_and_names(void **state)
{
	static const char *const bad[] = {"",
					  "-a",
					  "a-",
					  ".a",
					  "a b",
					  "a/b",
					  ("01234567890123456789012345678901234567890123456789"
					   "012345678901234")};
	struct store *s = with_cluster();
	auto_free char *big = xcalloc(1, LIMIT_CONFIG_DATA + 1);
	struct driver vault = {.name = (char *)"vault"}, golang = {.name = (char *)"golang"};
	struct secret_spec spec;

	assert_int_equal(strlen(bad[6]), LIMIT_SECRET_NAME + 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		spec = secret_spec(bad[i], "x", 1);
		assert_int_equal(
			secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			-EINVAL);
	}
	spec = secret_spec("a", "", 0);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec = secret_spec("a", big, LIMIT_SECRET_DATA + 1);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec.data.n = LIMIT_SECRET_DATA;
	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL), &last);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, NULL),
			 -EEXIST);
	spec = secret_spec("a", big, LIMIT_CONFIG_DATA + 1); /* a config may have a secret's name */
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec.data.n = LIMIT_CONFIG_DATA;
	spec.driver = &vault;
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL),
			 -ENOSYS);
	spec.driver = NULL;
	spec.templating = &vault;
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL),
			 -EINVAL);
	spec.templating = &golang;
	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, NULL), &last);
	assert_int_equal(secret(s, CONTROL_SECRET_CREATE, KIND_NODE, NULL, 0, &spec, NULL),
			 -EINVAL);
	store_free(s);
}

static void only_labels_of_a_secret_change(void **state)
{
	struct store *s = with_cluster();
	struct secret_spec spec = secret_spec("pw", "hunter2", 7), changed = {0};
	const struct secret *stored;
	auto_free char *id = NULL;

	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, &id), &last);
	stored = (const struct secret *)store_get(s, KIND_SECRET, id);
	strmap_set(&changed.labels, "k", "v");
	assert_int_equal(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, "pw", 99, &changed, NULL),
			 -ESTALE);
	assert_ok(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, "pw", stored->o.version.index,
			 &changed, NULL),
		  &last);
	stored = (const struct secret *)store_get(s, KIND_SECRET, id);
	assert_string_equal(strmap_get(&stored->spec.labels, "k"), "v");
	assert_int_equal(stored->spec.data.n, 7);
	changed.data = (struct bytes){(uint8_t *)(uintptr_t) "hunter3", 7};
	assert_int_equal(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, id, stored->o.version.index,
				&changed, NULL),
			 -EINVAL);
	assert_null(strstr(last.msg, "hunter"));
	changed.data = (struct bytes){0};
	changed.name = (char *)"other";
	assert_int_equal(secret(s, CONTROL_SECRET_UPDATE, KIND_SECRET, id, stored->o.version.index,
				&changed, NULL),
			 -EINVAL);
	strmap_done(&changed.labels);
	store_free(s);
}

#define WITH_FILES(files)                                                                   \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"," files \
	"}},\"Mode\":{\"Replicated\":{\"Replicas\":3}}}"

/* A service with one secret "pw" of the id, at each target. */
static int create_with(struct store *s, const char *id, const char *one, const char *two)
{
	auto_free char *json = xasprintf(
		WITH_FILES(
			"\"Secrets\":[{\"SecretID\":\"%s\",\"SecretName\":\"pw\",\"File\":"
			"{\"Name\":\"%s\",\"UID\":\"0\",\"GID\":\"0\",\"Mode\":292}},"
			"{\"SecretID\":\"%s\",\"SecretName\":\"pw\",\"File\":{\"Name\":\"%s\"}}]"),
		id, one, id, two);

	return create(s, json, NULL);
}

/* Each bound of what a service may have of them, and the step past it. */
static void files_of_a_service_are_bounded(void **state)
{
	static char names[LIMIT_TASK_FILES + 1][LIMIT_FILE_TARGET + 2];
	static struct file_target files[LIMIT_TASK_FILES + 1];
	static struct config_ref refs[LIMIT_TASK_FILES + 1];
	struct container_spec c = {.configs = {refs, LIMIT_TASK_FILES + 1}};
	auto_free char *big = xcalloc(1, LIMIT_CONFIG_DATA);
	struct secret_spec spec = secret_spec("big", big, LIMIT_CONFIG_DATA);
	struct store *s = with_cluster();
	struct err e = ERR_INIT;
	auto_free char *id = NULL;

	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_CONFIG, NULL, 0, &spec, &id), &last);
	for (int i = 0; i <= LIMIT_TASK_FILES; i++) {
		(void)snprintf(names[i], sizeof names[i], "f%d", i);
		files[i].name = names[i];
		refs[i] = (struct config_ref){.file = &files[i], .id = id, .name = (char *)"big"};
	}
	assert_int_equal(service_files_check(&c, &e), -EINVAL);
	c.configs.n = LIMIT_TASK_FILES;
	assert_ok(service_files_check(&c, &e), &e);
	memset(names[0], 'x', LIMIT_FILE_TARGET);
	assert_ok(service_files_check(&c, &e), &e);
	names[0][LIMIT_FILE_TARGET] = 'x';
	assert_int_equal(service_files_check(&c, &e), -EINVAL);
	c.configs.n = LIMIT_TASK_PAYLOAD / LIMIT_CONFIG_DATA;
	assert_ok(secrets_check(s, &c, &e), &e);
	c.configs.n++;
	assert_int_equal(secrets_check(s, &c, &e), -EINVAL);
	files[1].uid = (char *)"4294967295";
	assert_int_equal(service_files_check(&c, &e), -EINVAL);
	store_free(s);
}

static void services_keep_their_secrets(void **state)
{
	static const char *const bad[] = {"", "..", "a/../b", "./a", "a/", "/"};
	struct store *s = with_cluster();
	struct secret_spec spec = secret_spec("pw", "hunter2", 7);
	struct control_request gone = {.op = CONTROL_SERVICE_REMOVE, .id = (char *)"web"};
	auto_free char *id = NULL;

	assert_int_equal(create_with(s, "0000000000000000000000000", "a", "b"), -EINVAL);
	assert_non_null(strstr(last.msg, "not found: secret pw"));
	assert_ok(secret(s, CONTROL_SECRET_CREATE, KIND_SECRET, NULL, 0, &spec, &id), &last);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(create_with(s, id, bad[i], "good"), -EINVAL);
	assert_int_equal(create_with(s, id, "a", "/run//secrets/a"), -EINVAL);
	assert_non_null(strstr(last.msg, "conflicting target: '/run/secrets/a'"));
	assert_int_equal(create(s,
				WITH_FILES("\"Configs\":[{\"ConfigID\":\"x\",\"ConfigName\":"
					   "\"y\",\"Runtime\":{}}]"),
				NULL),
			 -ENOSYS);
	assert_ok(create_with(s, id, "a", "/b"), &last);
	assert_int_equal(secret(s, CONTROL_SECRET_REMOVE, KIND_SECRET, "pw", 0, NULL, NULL),
			 -EINVAL);
	assert_non_null(strstr(last.msg, "'pw' is in use by the following service: web"));
	assert_ok(ask(s, &gone, NULL), &last);
	assert_ok(secret(s, CONTROL_SECRET_REMOVE, KIND_SECRET, "pw", 0, NULL, NULL), &last);
	assert_int_equal(store_count(s, KIND_SECRET), 0);
	store_free(s);
}
static int join_as(struct store *s, const char *id, enum node_role role)
{
	struct node *n = object_new(KIND_NODE, id, 1);
	struct control_request r = {.op = CONTROL_NODE_JOIN, .new_node = n};
	int rc;

	n->spec.role = role;
	rc = ask(s, &r, NULL);
	object_free(&n->o);
	return rc;
}

static int change_role(struct store *s, const char *id, enum node_role role)
{
	struct node_spec spec = {.role = role};
	struct control_request r = {.op = CONTROL_NODE_UPDATE,
				    .id = (char *)(uintptr_t)id,
				    .version = store_node(s, id)->o.version.index,
				    .node = &spec};

	return ask(s, &r, NULL);
}

static void so_many_managers_and_no_more(void **state)
{
	struct store *s = with_cluster(); /* with one of them */
	char id[ID_CLUSTER_LEN + 1];

	for (int i = 1; i < LIMIT_MANAGERS; i++) {
		(void)snprintf(id, sizeof id, "m%024d", i);
		assert_ok(join_as(s, id, ROLE_MANAGER), &last);
	}
	assert_int_equal(join_as(s, "n000000000000000000000001", ROLE_MANAGER), -EINVAL);
	assert_non_null(strstr(last.msg, "at most 32 managers"));
	assert_ok(join_as(s, "n000000000000000000000001", ROLE_WORKER), &last);
	assert_int_equal(change_role(s, "n000000000000000000000001", ROLE_MANAGER), -EINVAL);
	assert_non_null(strstr(last.msg, "at most 32 managers"));
	assert_ok(change_role(s, id, ROLE_MANAGER), &last); /* it is one already */
	assert_ok(change_role(s, id, ROLE_WORKER), &last);
	assert_ok(change_role(s, "n000000000000000000000001", ROLE_MANAGER), &last);
	assert_int_equal(join_as(s, "n000000000000000000000002", ROLE_MANAGER), -EINVAL);
	store_free(s);
}

static int create_with_ports(struct store *s, unsigned n)
{
	auto_buf json = BUF_INIT(1 << 20);

	buf_adds(&json,
		 "{\"Name\":\"ports\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"}},"
		 "\"Mode\":{\"Replicated\":{\"Replicas\":1}},\"EndpointSpec\":{\"Ports\":[");
	for (unsigned i = 0; i < n; i++)
		buf_addf(&json, "%s{\"Protocol\":\"tcp\",\"TargetPort\":%u,\"PublishedPort\":%u}",
			 i ? "," : "", i + 1, i + 10000);
	buf_adds(&json, "]}}");
	return create(s, buf_text(&json), NULL);
}

static void so_many_ports_and_no_more(void **state)
{
	struct store *s = with_cluster();

	assert_int_equal(create_with_ports(s, LIMIT_SERVICE_PORTS + 1), -EINVAL);
	assert_non_null(strstr(last.msg, "more than 1024 ports"));
	assert_ok(create_with_ports(s, LIMIT_SERVICE_PORTS), &last);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_promoted_node_gets_its_vote_with_its_certificate),
		TEST(the_last_manager_and_the_leader_are_not_demoted),
		TEST(secrets_have_bounds_and_names),
		TEST(only_labels_of_a_secret_change),
		TEST(files_of_a_service_are_bounded),
		TEST(services_keep_their_secrets),
		TEST(so_many_managers_and_no_more),
		TEST(so_many_ports_and_no_more),
	};

	return RUN_TESTS(tests);
}
