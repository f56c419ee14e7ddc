/*
 * cli/compose: documents as the services they mean, or the sentence with the place that refuses
 * them. Files come from a table in memory.
 */
#include "unit/cli/compose_rig.h"

/* A service "st_a" of the image "i" with the lines, and a part of its JSON. */
static void means(const char *lines, const char *part)
{
	auto_free char *text =
		xasprintf("services:\n  a:\n    image: i\n%s"
			  "networks: {n: {}}\nvolumes: {v: {}, w: {external: true}}\n"
			  "secrets: {s: {content: x}}\nconfigs: {c: {content: x}}\n",
			  lines);
	auto_buf json = BUF_INIT(LIMIT_JSON_BODY);
	struct made m;

	make_text(&m, text);
	assert_sound(&m);
	assert_int_equal(json_write(&service_spec_table, service(&m, "st_a"), &json), 0);
	if (!strstr(buf_text(&json), part))
		fail_msg("%s\nlacks %s:\n%s", lines, part, buf_text(&json));
	unmake(&m);
}

static const char *const service_rows[][2] = {
	{"", "\"Name\":\"st_a\""},
	{"", "\"com.docker.stack.image\":\"i\",\"com.docker.stack.namespace\":\"st\""},
	{"", "\"Networks\":[{\"Target\":\"st_default\",\"Aliases\":[\"a\"]"},
	{"    command: sh -c 'echo \"a b\"' \"c d\" e\\ f\n",
	 "\"Args\":[\"sh\",\"-c\",\"echo \\\"a b\\\"\",\"c d\",\"e f\"]"},
	{"    command: \"a\\vb\\fc \"\n", "\"Args\":[\"a\",\"b\",\"c\"]"},
	{"    entrypoint: [a, \"b c\"]\n", "\"Command\":[\"a\",\"b c\"]"},
	{"    environment: {B: 1, A: \"x y\", TAG: , NONE: }\n",
	 "\"Env\":[\"A=x y\",\"B=1\",\"NONE\",\"TAG=7\"]"},
	{"    environment: [B=2=3, TAG]\n", "\"Env\":[\"B=2=3\",\"TAG=7\"]"},
	{"    deploy: {replicas: 3}\n", "{\"Replicated\":{\"Replicas\":3}}"},
	{"    deploy: {mode: global}\n", "\"Mode\":{\"Global\":{}}"},
	{"    deploy: {mode: replicated-job, replicas: 2}\n",
	 "{\"ReplicatedJob\":{\"MaxConcurrent\":2,\"TotalCompletions\":2}}"},
	{"    deploy: {endpoint_mode: dnsrr}\n", "\"Mode\":\"dnsrr\""},
	{"    deploy: {labels: [x=y]}\n", "\"x\":\"y\""},
	{"    deploy: {placement: {constraints: [node.role==worker]}}\n",
	 "\"Constraints\":[\"node.role==worker\"]"},
	{"    deploy: {placement: {preferences: [{spread: node.labels.z}]}}\n",
	 "\"SpreadDescriptor\":\"node.labels.z\""},
	{"    deploy: {resources: {limits: {cpus: '0.5', memory: 64M, pids: 9}}}\n",
	 "\"NanoCPUs\":500000000,\"MemoryBytes\":67108864,\"Pids\":9"},
	{"    deploy: {resources: {reservations: {generic_resources: "
	 "[{discrete_resource_spec: {kind: gpu, value: 2}}]}}}\n",
	 "{\"Kind\":\"gpu\",\"Value\":2}"},
	{"    deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}\n",
	 "\"Condition\":\"on-failure\",\"MaxAttempts\":2"},
	{"    restart: \"no\"\n", "\"Condition\":\"none\""},
	{"    restart: on-failure:4\n", "\"Condition\":\"on-failure\",\"MaxAttempts\":4"},
	{"    deploy: {update_config: {parallelism: 2, order: start-first}}\n",
	 "\"Order\":\"start-first\""},
	{"    healthcheck: {test: curl x, interval: 1m30s}\n",
	 "\"Test\":[\"CMD-SHELL\",\"curl x\"],\"Interval\":90000000000"},
	{"    healthcheck: {disable: true}\n", "\"Test\":[\"NONE\"]"},
	{"    ports: [\"80\"]\n", "\"TargetPort\":80"},
	{"    ports: [\"8000-8001:90-91/udp\"]\n", "\"TargetPort\":91,\"PublishedPort\":8001,"},
	{"    ports: [{target: 80, published: 8080, mode: host}]\n", "\"PublishMode\":\"host\""},
	{"    volumes: [\"v:/data:ro\"]\n", "\"Source\":\"st_v\",\"Target\":\"/data\""},
	{"    volumes: [\"w:/data\"]\n", "\"Source\":\"w\""},
	{"    volumes: [\"../x:/y\"]\n", "\"Type\":\"bind\",\"Source\":\"/x\""},
	{"    volumes: [\"~/x:/y\"]\n", "\"Source\":\"/root/x\""},
	{"    volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]\n",
	 "\"SizeBytes\":1048576,\"Mode\":448"},
	{"    tmpfs: /run\n", "\"Type\":\"tmpfs\",\"Target\":\"/run\""},
	{"    networks: {n: {aliases: [q]}}\n", "{\"Target\":\"st_n\",\"Aliases\":[\"q\",\"a\"]"},
	{"    secrets: [s]\n", "\"SecretName\":\"st_s\""},
	{"    configs: [{source: c, target: /etc/c, mode: 0400}]\n",
	 "\"Name\":\"/etc/c\",\"UID\":\"0\",\"GID\":\"0\",\"Mode\":256"},
	{"    extra_hosts: [\"h:10.0.0.1\"]\n", "\"Hosts\":[\"10.0.0.1 h\"]"},
	{"    ulimits: {nofile: {soft: 1, hard: 2}}\n", "\"Soft\":1,\"Hard\":2"},
	{"    configs: [c]\n", "\"Name\":\"c\",\"UID\":\"0\""},
	{"    cap_add: [net_admin, CAP_CHOWN, NET_ADMIN]\n    cap_drop: [chown, MKNOD]\n",
	 "\"CapabilityAdd\":[\"CAP_CHOWN\",\"CAP_NET_ADMIN\"],\"CapabilityDrop\":["
	 "\"CAP_MKNOD\"]"},
	{"    cap_drop: [MKNOD, ALL]\n", "\"CapabilityDrop\":[\"ALL\"]"},
	{"    dns: 1.1.1.1\n", "\"Nameservers\":[\"1.1.1.1\"]"},
	{"    logging: {driver: json-file, options: {max-size: 1m}}\n",
	 "\"LogDriver\":{\"Name\":\"json-file\""},
	{"    stop_grace_period: 2s\n", "\"StopGracePeriod\":2000000000"},
	{"    init: true\n", "\"Init\":true"},
	{"    hostname: \"h${TAG}\"\n", "\"Hostname\":\"h7\""},
	{"    x-mine: {any: thing}\n", "\"Name\":\"st_a\""},
};

static void keys_become_a_service(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(service_rows); i++)
		means(service_rows[i][0], service_rows[i][1]);
}

#define A "services:\n  a:\n    image: i\n"

static void what_is_wrong_is_said_with_its_place(void **state)
{
	refuses("", "c.yml:1:1: the file is empty");
	refuses("a: [", "c.yml:2:1: this is no YAML");
	refuses("a: 1\na: 2\n", "c.yml:2:1: the key a stands here twice");
	refuses("a: *b\n", "c.yml:1:4: the alias *b has no anchor");
	refuses("a: &b [*b]\n", "the alias *b has no anchor before it");
	refuses("a: 1\n---\nb: 1\n", "more than one document");
	refuses("{}", "there are no services");
	refuses("services: {a: {}}", "the service a has no image");
	refuses(A "    privileged: true\n", "c.yml:4:17: privileged is not supported");
	refuses(A "    wrong: true\n", "c.yml:4:12: unknown key wrong");
	refuses(A "    network_mode: host\n",
		"network_mode is not supported: use networks; the node's own is");
	refuses(A "    tty: perhaps\n", "tty: perhaps is no boolean");
	refuses(A "    ports: [\"127.0.0.1:80:80\"]\n", "leave the address out");
	refuses(A "    ports: [\"0\"]\n", "0 is no port");
	refuses(A "    ports: [\"1-70000\"]\n", "is no port");
	refuses(A "    volumes: [\"v:/x\"]\n", "v is not declared");
	refuses(A "    volumes: [\"/v:/x:rp\"]\n", "unknown option rp");
	refuses(A "    networks: [other]\n", "other is not declared");
	refuses(A "    command: \"a 'b\"\n", "a quote is not closed");
	refuses(A "    deploy: {mode: global, replicas: 2}\n", "replicas is not for");
	refuses(A "    deploy: {replicas: 100001}\n", "is not between 0 and 100000");
	refuses(A "    deploy: {resources: {reservations: {devices: []}}}\n",
		"devices is not supported");
	refuses(A "    hostname: ${X:?say it}\n", "c.yml:4:15: required variable X is missing");
	refuses(A "    hostname: ${X\n", "the brace is not closed");
	refuses(A "    hostname: a$\n", "write $$ for a dollar");
	refuses(A "    env_file: none\n", "cannot read /dir/none");
	refuses(A "    extends: b\n", "there is no service b");
	refuses("services:\n  a: {extends: b}\n  b: {extends: a}\n", "extend one another");
	refuses(A "secrets: {s: {file: a, content: b}}\n", "exactly one of");
	refuses(A "include: [x]\n", "include is not supported");
}

static void all_problems_are_told_at_once(void **state)
{
	struct made m;

	make_text(&m, A "    pid: host\n    ipc: host\n    build: .\n    container_name: x\n");
	assert_int_equal(m.p.problems.n, 2);
	assert_int_equal(m.p.warnings.n, 2);
	assert_non_null(strstr(m.p.warnings.v[0], "build is ignored"));
	unmake(&m);
}

static void anchors_aliases_and_merge_keys(void **state)
{
	struct made m;

	make_text(&m, "x-a: &a {image: i, hostname: h, tty: true}\nx-b: &b {user: u, image: j}\n"
		      "services:\n  one: {<<: *a, hostname: own}\n  two: {<<: [*b, *a]}\n");
	assert_sound(&m);
	assert_string_equal(service(&m, "st_one")->task.container->hostname, "own");
	assert_true(service(&m, "st_one")->task.container->tty);
	assert_string_equal(service(&m, "st_two")->task.container->image, "j");
	assert_string_equal(service(&m, "st_two")->task.container->user, "u");
	unmake(&m);
}

static void files_go_over_one_another(void **state)
{
	static const struct memory_file files[] = {
		{"a.yml", "services:\n  a:\n    image: i\n    command: [x, y]\n"
			  "    environment: [A=1, B=1]\n    ports: [\"80\"]\n    cap_add: [X]\n"
			  "    volumes: [\"/a:/t\", \"/b:/u\"]\n    hostname: h\n    user: u\n"},
		{"b.yml", "services:\n  a:\n    command: [z]\n    environment: {B: 2}\n"
			  "    ports: [\"80\", \"81\"]\n    cap_add: !override [Y]\n"
			  "    volumes: [\"/c:/t\"]\n    hostname: !reset null\n"},
		{NULL, NULL},
	};
	const struct container_spec *c;
	struct made m;

	make(&m, files, NULL);
	assert_sound(&m);
	c = service(&m, "st_a")->task.container;
	assert_int_equal(c->args.n, 1);
	assert_string_equal(c->env.v[0], "A=1");
	assert_string_equal(c->env.v[1], "B=2");
	assert_int_equal(service(&m, "st_a")->endpoint->ports.n, 2);
	assert_int_equal(c->cap_add.n, 1);
	assert_string_equal(c->cap_add.v[0], "CAP_Y");
	assert_int_equal(c->mounts.n, 2);
	assert_string_equal(c->mounts.v[0].source, "/c");
	assert_null(c->hostname);
	assert_string_equal(c->user, "u");
	unmake(&m);
}

static void services_extend_others(void **state)
{
	static const struct memory_file files[] = {
		{"a.yml", "services:\n  a: {extends: {file: sub/o.yml, service: b}, user: me}\n"},
		{"/dir/sub/o.yml", "services:\n  b: {extends: c, volumes: [\"./d:/d\"]}\n"
				   "  c: {image: deep, env_file: e}\n"},
		{"/dir/sub/e", "export A='$x' # c\nB=\"l\\n$TAG\"\n# c\n\nC=a b # c\nD=$B.\nTAG\n"},
		{NULL, NULL},
	};
	const struct container_spec *c;
	struct made m;

	make(&m, files, NULL);
	assert_sound(&m);
	c = service(&m, "st_a")->task.container;
	assert_string_equal(c->image, "deep");
	assert_string_equal(c->user, "me");
	assert_string_equal(c->mounts.v[0].source, "/dir/sub/d");
	assert_int_equal(c->env.n, 5);
	assert_string_equal(c->env.v[0], "A=$x");
	assert_string_equal(c->env.v[1], "B=l\n7");
	assert_string_equal(c->env.v[2], "C=a b");
	assert_string_equal(c->env.v[3], "D=l\n7.");
	assert_string_equal(c->env.v[4], "TAG=7");
	unmake(&m);
}

static void profiles_choose_services(void **state)
{
	static const struct memory_file files[] = {
		{"a.yml", "services:\n  a: {image: i}\n  b: {image: i, profiles: [p]}\n"},
		{NULL, NULL}};
	struct made m;

	make(&m, files, NULL);
	assert_int_equal(m.s.services.n, 1);
	unmake(&m);
	make(&m, files, "p");
	assert_int_equal(m.s.services.n, 2);
	unmake(&m);
	make(&m, files, "*");
	assert_int_equal(m.s.services.n, 2);
	unmake(&m);
}

static void dot_env_is_below_the_environment(void **state)
{
	static const struct memory_file files[] = {
		{"a.yml", "services: {a: {image: \"$MORE:$TAG\"}}"},
		{"/dir/.env", "MORE=m\nTAG=no\n"},
		{NULL, NULL}};
	struct made m;

	make(&m, files, NULL);
	assert_sound(&m);
	assert_string_equal(service(&m, "st_a")->task.container->image, "m:7");
	unmake(&m);
}

static void variables(void **state)
{
	static const char *const rows[][2] = {
		{"$TAG-${TAG}", "7-7"},    {"$$TAG", "$TAG"},        {"${NO:-d}", "d"},
		{"${NO-d}", "d"},          {"${EMPTY:-d}", "d"},     {"${EMPTY-d}", ""},
		{"${TAG:+alt}", "alt"},    {"${EMPTY:+alt}", ""},    {"${EMPTY+alt}", "alt"},
		{"${NO+alt}", ""},         {"${TAG:?why}", "7"},     {"${EMPTY?why}", ""},
		{"${NO:-${TAG}x}", "7x"},  {"${NO:-${B:-$$}}", "$"}, {"a$NO.b", "a.b"},
		{"${TAG:-${NO:?x}}", "7"},
	};
	struct strmap env = {0};

	strmap_set(&env, "TAG", "7");
	strmap_set(&env, "EMPTY", "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_buf b = BUF_INIT(100);
		struct err e = ERR_INIT;

		assert_ok(compose_expand(rows[i][0], &env, NULL, &b, &e), &e);
		assert_string_equal(buf_text(&b), rows[i][1]);
	}
	strmap_done(&env);
}

static void the_sections_are_named_and_labelled(void **state)
{
	struct made m;

	make_text(&m, A
		  "    networks: [n, o, e]\nnetworks:\n  n: {driver_opts: {k: v}, ipam: "
		  "{config: [{subnet: 10.9.0.0/24}]}}\n  o: {name: other}\n  e: {external: true}\n"
		  "configs:\n  c: {content: \"$TAG\"}\n  e: {environment: TAG, name: q}\n"
		  "secrets: {s: {external: true}}\n");
	assert_sound(&m);
	assert_int_equal(m.s.networks.n, 2);
	assert_string_equal(m.s.networks.v[0].name, "st_n");
	assert_string_equal(m.s.networks.v[0].driver, "overlay");
	assert_string_equal(m.s.networks.v[0].ipam.config.v[0].subnet, "10.9.0.0/24");
	assert_string_equal(strmap_get(&m.s.networks.v[0].labels, STACK_LABEL), "st");
	assert_string_equal(m.s.networks.v[1].name, "other");
	assert_int_equal(m.s.external_networks.n, 1);
	assert_string_equal(m.s.external_networks.v[0], "e");
	assert_int_equal(m.s.secrets.n, 0);
	assert_int_equal(m.s.configs.n, 2);
	assert_string_equal(m.s.configs.v[1].name, "q");
	assert_memory_equal(m.s.configs.v[0].data.p, "7", 1);
	unmake(&m);
}

static void the_nodes_own_network_has_no_aliases(void **state)
{
	struct made m;

	make_text(&m, A "    networks: [h]\nnetworks:\n  h: {external: true, name: host}\n");
	assert_sound(&m);
	assert_int_equal(m.s.services.v[0].task.networks.n, 1);
	assert_string_equal(m.s.services.v[0].task.networks.v[0].target, "host");
	assert_int_equal(m.s.services.v[0].task.networks.v[0].aliases.n, 0);
	unmake(&m);
}

/* Bounds */

static void deep(struct buf *b, unsigned n)
{
	buf_adds(b, "x-a: ");
	for (unsigned i = 0; i < n; i++)
		buf_adds(b, "[");
	for (unsigned i = 0; i < n; i++)
		buf_adds(b, "]");
	buf_adds(b, "\n" A);
}

static void the_depth_is_bounded(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	struct made m;

	deep(&b, LIMIT_COMPOSE_DEPTH);
	make_text(&m, buf_text(&b));
	assert_sound(&m);
	unmake(&m);
	buf_reset(&b);
	deep(&b, LIMIT_COMPOSE_DEPTH + 1);
	refuses(buf_text(&b), "nested deeper than 64");
}

static void aliases_are_counted_in_full(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);

	buf_adds(&b, "x-0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
	for (int i = 1; i < 9; i++) {
		buf_addf(&b, "x-%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&b, "%s*a%d", k ? "," : "", i - 1);
		buf_adds(&b, "]\n");
	}
	refuses(buf_text(&b), "more than 100000 values");
}

static void lists_and_services_are_bounded(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	struct made m;

	buf_adds(&b, "x-a: [");
	for (unsigned i = 0; i <= LIMIT_COMPOSE_LIST; i++)
		buf_adds(&b, "1,");
	buf_adds(&b, "]\n" A);
	refuses(buf_text(&b), "more than 2048 entries");
	buf_reset(&b);
	buf_adds(&b, "services:\n");
	for (unsigned i = 0; i < LIMIT_COMPOSE_SERVICES; i++)
		buf_addf(&b, "  s%u: {image: i}\n", i);
	make_text(&m, buf_text(&b));
	assert_sound(&m);
	assert_int_equal(m.s.services.n, LIMIT_COMPOSE_SERVICES);
	unmake(&m);
	buf_adds(&b, "  more: {image: i}\n");
	refuses(buf_text(&b), "at most 1000 services");
}

static void problems_and_variables_are_bounded(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	struct made m;

	buf_adds(&b, A);
	for (unsigned i = 0; i < LIMIT_COMPOSE_PROBLEMS + 5; i++)
		buf_addf(&b, "    no%u: 1\n", i);
	make_text(&m, buf_text(&b));
	assert_int_equal(m.p.problems.n, LIMIT_COMPOSE_PROBLEMS + 1);
	unmake(&m);
	buf_reset(&b);
	buf_adds(&b, A "    user: ");
	for (unsigned i = 0; i < LIMIT_COMPOSE_NESTED + 1; i++)
		buf_adds(&b, "${N:-");
	for (unsigned i = 0; i < LIMIT_COMPOSE_NESTED + 1; i++)
		buf_adds(&b, "}");
	buf_adds(&b, "\n");
	refuses(buf_text(&b), "nested deeper than 16");
}

static void what_was_read_is_written_and_read_again(void **state)
{
	static const char text[] =
		"a: {b: ['1', two, \"x: y\", null, ~], c: {}}\nd: |\n  l1\n  l2\n";
	size_t budget = LIMIT_COMPOSE_NODES;
	struct compose_node *one = NULL, *two = NULL;
	auto_buf out = BUF_INIT(1000);
	struct err e = ERR_INIT;

	assert_ok(compose_yaml_read("f", text, strlen(text), &budget, &one, &e), &e);
	assert_int_equal(compose_yaml_write(one, &out), 0);
	assert_ok(compose_yaml_read("g", buf_text(&out), out.len, &budget, &two, &e), &e);
	assert_true(compose_equal(one, two));
	assert_non_null(strstr(buf_text(&out), "\"1\""));
	compose_free(one);
	compose_free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_become_a_service),
		TEST(what_is_wrong_is_said_with_its_place),
		TEST(all_problems_are_told_at_once),
		TEST(anchors_aliases_and_merge_keys),
		TEST(files_go_over_one_another),
		TEST(services_extend_others),
		TEST(profiles_choose_services),
		TEST(dot_env_is_below_the_environment),
		TEST(variables),
		TEST(the_sections_are_named_and_labelled),
		TEST(the_nodes_own_network_has_no_aliases),
		TEST(the_depth_is_bounded),
		TEST(aliases_are_counted_in_full),
		TEST(lists_and_services_are_bounded),
		TEST(problems_and_variables_are_bounded),
		TEST(what_was_read_is_written_and_read_again),
	};

	return RUN_TESTS(tests);
}
