/*
 * Images, networks, events, info and version over the fake engine.
 */
#include "unit/api/api_rig.h"

#include "api/event_view.h"
#include "manager/store.h"

static void images(void **state)
{
	rig_start();
	rig_want("GET /images/json", 200, "\"Id\":\"sha256:aa\",\"ParentId\":\"\"");
	rig_want("GET /images/json", 200, "\"Created\":5,\"Size\":7,\"SharedSize\":-1");
	rig_want("GET /images/json?filters={\"reference\":[\"a\",\"b\"],\"dangling\":[\"true\"]}",
		 200, "sha256:aa");
	assert_string_equal(E.asked, "images 2 0 1");
	rig_want_not("GET /images/json?filters={\"until\":[\"5\"]}", 200, "sha256:aa");
	rig_want("GET /images/json?filters={\"until\":[\"6\"]}", 200, "sha256:aa");
	rig_want("GET /images/json?filters={\"until\":[\"x\"]}", 400, "until");
	rig_want("GET /images/json?filters={\"bogus\":[\"1\"]}", 400, "invalid filter 'bogus'");
	rig_want("GET /images/busybox/json", 200, "\"Created\":\"1970-01-01T00:00:05Z\"");
	rig_want("GET /images/a/b:c/json", 404, "No such image: a/b:c");
	rig_want("POST /images/busybox/tag?repo=me/b&tag=2", 201, "");
	assert_string_equal(E.asked, "tag busybox me/b:2");
	rig_want("POST /images/busybox/tag", 400, "repo");
	rig_want("DELETE /images/a:1?force=1", 200,
		 "[{\"Untagged\":\"a:1\"},{\"Deleted\":\"sha256:aa\"}]");
	assert_string_equal(E.asked, "rmi a:1 1");
	E.status = -EBUSY;
	rig_want("DELETE /images/a:1", 409, "the fake fails");
	rig_stop();
}

static void loads_in_pieces(void **state)
{
	enum { TOTAL = 3000000 };
	auto_free char *archive = xmalloc(TOTAL);
	auto_free char *head = xasprintf("Connection: close\r\nContent-Length: %d\r\n\r\n", TOTAL);
	auto_buf b = BUF_INIT(1 << 20);
	int64_t end = (int64_t)clock_mono_ms() + WAIT_MS;
	size_t at = 0;
	int fd;

	for (size_t i = 0; i < TOTAL; i++)
		archive[i] = (char)(i * 7 >> 3);
	rig_start();
	fd = rig_open("POST /images/load?quiet=1", head);
	while (at < TOTAL) {
		ssize_t n = send(fd, archive + at, TOTAL - at, MSG_NOSIGNAL);

		at += n > 0 ? (size_t)n : 0;
		assert_true(fix_turn(fd, POLLOUT, end));
	}
	assert_true(cl_read_until(fd, &b, NULL));
	close(fd);
	assert_non_null(strstr(buf_text(&b), "HTTP/1.1 200 "));
	assert_non_null(
		strstr(buf_text(&b), "{\"stream\":\"Loaded image: busybox:latest\\n\"}\r\n"));
	assert_int_equal(E.archive.len, TOTAL);
	assert_memory_equal(E.archive.p, archive, TOTAL);
	rig_stop();
}

static void a_broken_upload_loads_nothing(void **state)
{
	int fd;

	rig_start();
	fd = rig_open("POST /images/load", "Content-Length: 1000\r\n\r\nabc");
	fix_settle(50);
	close(fd);
	fix_settle(50);
	assert_string_equal(E.asked, "");
	E.status = -EBADMSG;
	rig_want_body("POST /images/load?platform={\"os\":\"linux\",\"architecture\":\"arm64\"}",
		      "xyz", 400, "the fake fails");
	assert_string_equal(E.asked, "load linux/arm64");
	rig_want_body("POST /images/load?platform=linux", "xyz", 400, "invalid platform");
	rig_stop();
}

static void networks(void **state)
{
	rig_start();
	rig_want("GET /networks", 200,
		 "[{\"Name\":\"bridge\",\"Id\":\"nnnn\",\"Created\":\"0001-01-01T00:00:00Z\","
		 "\"Scope\":\"local\",\"Driver\":\"bridge\",\"EnableIPv4\":true");
	rig_want_not("GET /networks?filters={\"type\":[\"custom\"]}", 200, "nnnn");
	rig_want("GET /networks?filters={\"type\":[\"x\"]}", 400, "invalid filter");
	rig_want_not("GET /networks?filters={\"driver\":[\"overlay\"]}", 200, "nnnn");
	MAP_PUT(&E.web.networks.endpoints, "bridge")->network = xstrdup("nnnn");
	MAP_GET(&E.web.networks.endpoints, "bridge")->ip = xstrdup("10.1.2.3");
	MAP_GET(&E.web.networks.endpoints, "bridge")->ip_prefix = 16;
	rig_want("GET /networks/nn", 200, "\"IPv4Address\":\"10.1.2.3/16\"");
	rig_want_not("GET /networks", 200, "10.1.2.3");
	rig_want("GET /networks/x", 404, "network x not found");
	rig_want("GET /networks/bridge?scope=swarm", 404, "network bridge not found");
	rig_want_body("POST /networks/create", "{\"Name\":\"bridge\"}", 409,
		      "network with name bridge already exists");
	rig_want_body("POST /networks/create", "{\"Name\":\"mine\"}", 201,
		      "{\"Id\":\"nnnn\",\"Warning\":\"\"}");
	assert_string_equal(E.asked, "network create mine");
	rig_want_body("POST /networks/create", "{\"Name\":\"o\",\"Driver\":\"overlay\"}", 503,
		      "This node is not a swarm manager");
	rig_want_body("POST /networks/create", "{\"Driver\":\"bridge\"}", 400, "name");
	rig_want("DELETE /networks/bridge", 204, "");
	assert_string_equal(E.asked, "network rm nnnn");
	table_done(&networking_config_table, &E.web.networks);
	rig_stop();
}

static void system_info(void **state)
{
	rig_start();
	rig_want("GET /info", 200, "\"ID\":\"the-id\",\"Containers\":2,\"ContainersRunning\":1");
	rig_want("GET /info", 200,
		 "\"Swarm\":{\"NodeID\":\"\",\"NodeAddr\":\"\",\"LocalNodeState\":\"inactive\","
		 "\"ControlAvailable\":false,\"Error\":\"\",\"RemoteManagers\":null}");
	rig_want("GET /info", 200, "\"LiveRestoreEnabled\":true");
	rig_want("GET /version", 200, "\"Components\":[{\"Name\":\"Engine\"");
	rig_want("GET /version", 200, "\"ApiVersion\":\"1.51\",\"MinAPIVersion\":\"1.24\"");
	rig_stop();
}

/* Events */

static struct strmap_entry attributes[] = {{(char *)"image", (char *)"busybox:1"},
					   {(char *)"name", (char *)"web"}};
static const struct strmap attribute_map = {attributes, 2};
static const struct engine_event start_event = {.type = "container",
						.action = "start",
						.id = "abc",
						.scope = "local",
						.time_ns = 3 * NS_PER_SEC + 1,
						.attributes = &attribute_map};

static bool passes(const char *filters)
{
	struct filters f = {0};
	struct err e = ERR_INIT;
	bool result;

	assert_ok(filters_parse(filters, event_filter_keys, &f, &e), &e);
	result = event_passes(&f, &start_event);
	filters_done(&f);
	return result;
}

static void event_filters(void **state)
{
	assert_true(passes(""));
	assert_true(passes("{\"event\":[\"start\"]}"));
	assert_false(passes("{\"event\":[\"star\"]}"));
	assert_true(passes("{\"container\":[\"web\"]}"));
	assert_true(passes("{\"container\":[\"ab\"],\"type\":[\"container\"]}"));
	assert_false(passes("{\"network\":[\"web\"]}"));
	assert_true(passes("{\"image\":[\"busybox\"]}"));
	assert_true(passes("{\"image\":[\"busybox:1\"]}"));
	assert_false(passes("{\"image\":[\"busybox:2\"]}"));
	assert_false(passes("{\"scope\":[\"swarm\"]}"));
	assert_true(passes("{\"label\":[\"name=web\"]}"));
	assert_false(passes("{\"label\":[\"other\"]}"));
}

static void events_kept_and_live(void **state)
{
	struct engine_event kept = start_event;
	auto_buf b = BUF_INIT(1 << 20);
	int fd;

	rig_start();
	E.kept = &kept;
	E.n_kept = 1;
	rig_want("GET /events?since=1&until=5", 200,
		 "{\"status\":\"start\",\"id\":\"abc\",\"from\":\"busybox:1\","
		 "\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"abc\","
		 "\"Attributes\":{\"image\":\"busybox:1\",\"name\":\"web\"}},"
		 "\"scope\":\"local\",\"time\":3,\"timeNano\":3000000001}\n");
	rig_want_not("GET /events?since=4&until=5", 200, "abc");
	rig_want("GET /events?since=5&until=4", 400, "cannot be after");
	rig_want("GET /events?filters={\"x\":[\"y\"]}", 400, "invalid filter 'x'");
	fd = rig_open("GET /events?filters={\"type\":[\"container\"]}", "\r\n");
	cl_expect(fd, &b, "\r\n\r\n");
	assert_null(strstr(buf_text(&b), "abc"));
	kept.id = "def";
	engine_event(NULL, &kept);
	cl_expect(fd, &b, "def");
	kept.type = "node";
	kept.id = "ghi";
	engine_event(NULL, &kept);
	fix_settle(30);
	close(fd);
	fix_wait(!E.watch);
	assert_null(strstr(buf_text(&b), "ghi"));
	rig_stop();
}

static void events_until_soon(void **state)
{
	auto_free char *line =
		xasprintf("GET /events?until=%.3f", (double)clock_wall_ns() / NS_PER_SEC + 0.2);

	rig_start();
	rig_want(line, 200, "");
	assert_null(E.watch);
	rig_stop();
}

/* The cluster's */

static struct buf seen;
static int64_t seen_ns;

static void see(void *arg, const struct engine_event *ev)
{
	seen_ns = ev->time_ns;
	buf_addf(&seen, "%s %s %s %s", ev->scope, ev->type, ev->action, ev->id);
	for (size_t i = 0; i < ev->attributes->n; i++)
		buf_addf(&seen, " %s=%s", ev->attributes->v[i].key, ev->attributes->v[i].value);
	buf_addc(&seen, '\n');
}

static void updates_are_told(void **state)
{
	struct engine_watch watch = {.event = see};
	struct store *store = store_new();
	struct swarm_events *s = swarm_events_attach(NULL, store, NULL);
	struct service *svc = object_new(KIND_SERVICE, "s1", 0);
	const struct service *old;
	struct store_result result;
	struct changes c;

	memset(&E, 0, sizeof E);
	seen = BUF_INIT(1 << 16);
	engine_watch_add(NULL, &watch);
	changes_init(&c);
	svc->spec.name = xstrdup("web");
	changes_create(&c, &svc->o);
	store_apply_changes(store, &c, &result);
	for (int i = 0; i < 2; i++) {
		old = store_service(store, "s1");
		svc = object_clone(&old->o);
		if (!svc->update_status)
			svc->update_status = xcalloc(1, sizeof *svc->update_status);
		svc->update_status->state = i ? UPDATE_ROLLBACK_STARTED : UPDATE_UPDATING;
		if (i) {
			svc->spec.task.container = xcalloc(1, sizeof *svc->spec.task.container);
			svc->spec.task.container->image = xstrdup("box:2");
		}
		changes_truncate(&c, 0);
		changes_update(&c, &old->o, &svc->o, 70 + i);
		store_apply_changes(store, &c, &result);
		assert_int_equal(result.verdict, STORE_APPLIED);
	}
	assert_string_equal(buf_text(&seen),
			    "swarm service create s1 name=web\n"
			    "swarm service update s1 name=web updatestate.new=updating\n"
			    "swarm service update s1 image.new=box:2 image.old= name=web "
			    "updatestate.new=rollback_started updatestate.old=updating\n");
	/* An event's time is the change's: the same at every manager. */
	assert_int_equal(seen_ns, 71);
	changes_done(&c);
	swarm_events_detach(s);
	store_free(store);
	buf_done(&seen);
}

static void swarm_events(void **state)
{
	struct engine_watch watch = {.event = see};
	struct store *store = store_new();
	struct swarm_events *s = swarm_events_attach(NULL, store, NULL);
	const struct object *old;
	struct changes c;
	struct store_result result;
	struct node *n = object_new(KIND_NODE, "n1", 0), *m;
	struct network *net;

	memset(&E, 0, sizeof E);
	seen = BUF_INIT(1 << 16);
	engine_watch_add(NULL, &watch);
	changes_init(&c);
	n->description.hostname = xstrdup("host1");
	changes_create(&c, &n->o);
	store_apply_changes(store, &c, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	changes_truncate(&c, 0);
	old = store_get(store, KIND_NODE, "n1");
	m = object_clone(old);
	m->status.state = NODE_READY;
	m->spec.availability = AVAILABILITY_DRAIN;
	changes_update(&c, old, &m->o, 1);
	store_apply_changes(store, &c, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	/* Removed as users see it once that has begun; its end is no news. */
	net = object_new(KIND_NETWORK, "o1", 0);
	net->spec.name = xstrdup("over");
	changes_truncate(&c, 0);
	changes_create(&c, &net->o);
	store_apply_changes(store, &c, &result);
	old = store_get(store, KIND_NETWORK, "o1");
	net = object_clone(old);
	net->pending_delete = true;
	str_set(&net->spec.name, "o1");
	changes_truncate(&c, 0);
	changes_update(&c, old, &net->o, 1);
	store_apply_changes(store, &c, &result);
	changes_truncate(&c, 0);
	changes_delete(&c, store_get(store, KIND_NETWORK, "o1"));
	store_apply_changes(store, &c, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	assert_string_equal(buf_text(&seen),
			    "swarm node create n1 name=host1\n"
			    "swarm node update n1 availability.new=drain availability.old=active "
			    "name=host1 state.new=ready state.old=unknown\n"
			    "swarm network create o1 name=over type=overlay\n"
			    "swarm network remove o1 name=over type=overlay\n");
	changes_done(&c);
	swarm_events_detach(s);
	store_free(store);
	buf_done(&seen);
}

/* Each is answered once, whatever is missing in it: a second answer would end the daemon. */
static void services_outside_of_a_swarm(void **state)
{
	rig_start();
	rig_want_body("POST /services/create", "{\"Name\":\"web\"}", 503, "not a swarm manager");
	rig_want_body("POST /services/create", "{}", 503, "not a swarm manager");
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(images),
		TEST(loads_in_pieces),
		TEST(a_broken_upload_loads_nothing),
		TEST(networks),
		TEST(system_info),
		TEST(event_filters),
		TEST(events_kept_and_live),
		TEST(events_until_soon),
		TEST(swarm_events),
		TEST(updates_are_told),
		TEST(services_outside_of_a_swarm),
	};

	return RUN_TESTS(tests);
}
