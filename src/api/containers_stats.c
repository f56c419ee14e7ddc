/*
 * GET /containers/{id}/stats: what a container uses, in docker's shape, once or once a second. A
 * client that does not keep up misses samples.
 */
#include <string.h>

#include "api/containers.h"
#include "base/limits.h"
#include "base/mem.h"

#define RAW_MAX (64u << 10) /* bytes of memory.stat as JSON */

struct cpu_usage {
	uint64_t total, kernel, user;
};
#define T struct cpu_usage
static const struct field cpu_usage_fields[] = {
	FIELD_U64(T, 0, total, "total_usage", 0),
	FIELD_U64(T, 0, kernel, "usage_in_kernelmode", 0),
	FIELD_U64(T, 0, user, "usage_in_usermode", 0),
};
#undef T
static TABLE_DEFINE(cpu_usage, cpu_usage_fields);

struct cpu_throttling {
	uint64_t periods, throttled, ns;
};
#define T struct cpu_throttling
static const struct field cpu_throttling_fields[] = {
	FIELD_U64(T, 0, periods, "periods", 0),
	FIELD_U64(T, 0, throttled, "throttled_periods", 0),
	FIELD_U64(T, 0, ns, "throttled_time", 0),
};
#undef T
static TABLE_DEFINE(cpu_throttling, cpu_throttling_fields);

struct cpu_view {
	struct cpu_usage usage;
	uint64_t system;
	uint32_t cpus;
	struct cpu_throttling throttling;
};
#define T struct cpu_view
static const struct field cpu_view_fields[] = {
	FIELD_OBJ(T, 0, usage, "cpu_usage", 0, cpu_usage),
	FIELD_U64(T, 0, system, "system_cpu_usage", FIELD_OMIT),
	FIELD_U32(T, 0, cpus, "online_cpus", FIELD_OMIT),
	FIELD_OBJ(T, 0, throttling, "throttling_data", 0, cpu_throttling),
};
#undef T
static TABLE_DEFINE(cpu_view, cpu_view_fields);

struct memory_view {
	uint64_t usage, max, failures, limit;
	char *raw;
};
#define T struct memory_view
static const struct field memory_view_fields[] = {
	FIELD_U64(T, 0, usage, "usage", FIELD_OMIT),
	FIELD_U64(T, 0, max, "max_usage", FIELD_OMIT),
	FIELD_RAW(T, 0, raw, "stats", FIELD_OMIT),
	FIELD_U64(T, 0, failures, "failcnt", FIELD_OMIT),
	FIELD_U64(T, 0, limit, "limit", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(memory_view, memory_view_fields);

struct pids_view {
	uint64_t current, limit;
};
#define T struct pids_view
static const struct field pids_view_fields[] = {
	FIELD_U64(T, 0, current, "current", FIELD_OMIT),
	FIELD_U64(T, 0, limit, "limit", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(pids_view, pids_view_fields);

struct io_entry {
	uint64_t major, minor;
	char *op;
	uint64_t value;
};
#define T struct io_entry
static const struct field io_entry_fields[] = {
	FIELD_U64(T, 0, major, "major", 0),
	FIELD_U64(T, 0, minor, "minor", 0),
	FIELD_STR(T, 0, op, "op", 0),
	FIELD_U64(T, 0, value, "value", 0),
};
#undef T
static TABLE_DEFINE(io_entry, io_entry_fields);

struct io_view {
	LIST_OF(struct io_entry) bytes, ops, none;
};
#define T struct io_view
static const struct field io_view_fields[] = {
	FIELD_LIST(T, 0, bytes, "io_service_bytes_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, ops, "io_serviced_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, none, "io_queue_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, none, "io_service_time_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, none, "io_wait_time_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, none, "io_merged_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, none, "io_time_recursive", FIELD_NULL, io_entry),
	FIELD_LIST(T, 0, none, "sectors_recursive", FIELD_NULL, io_entry),
};
#undef T
static TABLE_DEFINE(io_view, io_view_fields);

#define T struct engine_net_use
static const struct field engine_net_use_fields[] = {
	FIELD_U64(T, 0, rx_bytes, "rx_bytes", 0),   FIELD_U64(T, 0, rx_packets, "rx_packets", 0),
	FIELD_U64(T, 0, rx_errors, "rx_errors", 0), FIELD_U64(T, 0, rx_dropped, "rx_dropped", 0),
	FIELD_U64(T, 0, tx_bytes, "tx_bytes", 0),   FIELD_U64(T, 0, tx_packets, "tx_packets", 0),
	FIELD_U64(T, 0, tx_errors, "tx_errors", 0), FIELD_U64(T, 0, tx_dropped, "tx_dropped", 0),
};
#undef T
static TABLE_DEFINE(engine_net_use, engine_net_use_fields);

struct stats_view {
	char *name, *id, *storage;
	int64_t read_ns, before_ns;
	struct pids_view pids;
	struct io_view io;
	uint32_t n_procs; /* of other systems */
	struct cpu_view cpu, before;
	struct memory_view memory;
	MAP_OF(struct engine_net_use) nets;
};
#define T struct stats_view
static const struct field stats_view_fields[] = {
	FIELD_STR(T, 0, name, "name", 0),
	FIELD_STR(T, 0, id, "id", 0),
	FIELD_TIME(T, 0, read_ns, "read", 0),
	FIELD_TIME(T, 0, before_ns, "preread", 0),
	FIELD_OBJ(T, 0, pids, "pids_stats", 0, pids_view),
	FIELD_OBJ(T, 0, io, "blkio_stats", 0, io_view),
	FIELD_U32(T, 0, n_procs, "num_procs", 0),
	FIELD_RAW(T, 0, storage, "storage_stats", 0),
	FIELD_OBJ(T, 0, cpu, "cpu_stats", 0, cpu_view),
	FIELD_OBJ(T, 0, before, "precpu_stats", 0, cpu_view),
	FIELD_OBJ(T, 0, memory, "memory_stats", 0, memory_view),
	FIELD_MAP(T, 0, nets, "networks", FIELD_OMIT, engine_net_use),
};
#undef T
static TABLE_DEFINE(stats_view, stats_view_fields);

/* ---- From a sample to the view; strings are lent ---- */

static void cpu_fill(const struct engine_sample *s, struct cpu_view *ret)
{
	*ret = (struct cpu_view){
		.usage = {s->use.cpu_total_ns, s->use.cpu_kernel_ns, s->use.cpu_user_ns},
		.system = s->system_ns,
		.cpus = s->cpus,
		.throttling = {s->use.periods, s->use.throttled_periods, s->use.throttled_ns},
	};
}

/* No limit is the host's memory, as docker has it; v2 has no greatest use in docker's form. */
static void memory_fill(const struct engine_sample *s, struct buf *raw, struct memory_view *ret)
{
	(void)buf_addc(raw, '{');
	for (size_t i = 0; i < s->use.n_raw; i++)
		(void)buf_addf(raw, "%s\"%s\":%llu", i ? "," : "", s->use.raw[i].key,
			       (unsigned long long)s->use.raw[i].value);
	(void)buf_addc(raw, '}');
	(void)buf_text(raw); /* ends it */
	*ret = (struct memory_view){
		.usage = s->use.memory.usage,
		.max = s->v2 ? 0 : s->use.memory.max,
		.failures = s->use.memory.failures,
		.limit = s->use.memory.limit,
		.raw = buf_status(raw) == 0 ? raw->p : NULL,
	};
	if (s->host_memory)
		ret->limit = MIN_OF(ret->limit, s->host_memory);
}

static void io_fill(const struct engine_sample *s, struct io_view *ret)
{
	for (size_t i = 0; i < s->io.n_bytes; i++) {
		const struct cgroup_io_entry *e = &s->io.bytes[i];

		*LIST_ADD(&ret->bytes) =
			(struct io_entry){e->major, e->minor, (char *)e->op, e->value};
	}
	for (size_t i = 0; i < s->io.n_ops; i++) {
		const struct cgroup_io_entry *e = &s->io.ops[i];

		*LIST_ADD(&ret->ops) =
			(struct io_entry){e->major, e->minor, (char *)e->op, e->value};
	}
}

struct watching {
	struct api_req *r;
	struct engine_stats *stats;
	struct http_stream *stream;
	char *id, *name;
	bool once, primed, answered;
	int64_t before_ns;
	struct cpu_view before;
};

static void sample_render(struct watching *w, const struct engine_sample *s, struct buf *ret)
{
	auto_buf raw = BUF_INIT(RAW_MAX);
	struct stats_view v = {.name = w->name,
			       .id = w->id,
			       .storage = (char *)"{}",
			       .before = w->before,
			       .before_ns = w->before_ns};

	if (s && s->running) {
		v.read_ns = s->read_ns;
		cpu_fill(s, &v.cpu);
		memory_fill(s, &raw, &v.memory);
		io_fill(s, &v.io);
		/* No limit is left out of v1's form, and docker's greatest number in v2's. */
		v.pids = (struct pids_view){
			s->use.pids, s->use.pids_limit || !s->v2 ? s->use.pids_limit : UINT64_MAX};
		for (size_t i = 0; i < s->n_nets; i++)
			*MAP_PUT(&v.nets, s->nets[i].name) = s->nets[i];
	}
	(void)json_write(&stats_view_table, &v, ret);
	(void)buf_addc(ret, '\n');
	w->before = v.cpu;
	w->before_ns = v.read_ns;
	free(v.io.bytes.v);
	free(v.io.ops.v);
	LIST_EACH (n, &v.nets)
		free(n->key);
	free(v.nets.v);
}

/* ---- The request ---- */

static void watch_free(void *state)
{
	struct watching *w = state;

	free(w->id);
	free(w->name);
	free(w);
}

static void reply_once(struct watching *w, const struct engine_sample *s)
{
	struct buf json = BUF_INIT(LIMIT_HTTP_PIECE);

	if (w->answered)
		return;
	w->answered = true;
	sample_render(w, s, &json);
	http_reply(w->r->http, 200, "application/json", &json);
}

static void on_sample(void *arg, const struct engine_sample *s)
{
	auto_buf json = BUF_INIT(LIMIT_HTTP_PIECE);
	struct watching *w = arg;

	if (w->once && w->primed) {
		engine_stats_close(TAKE_PTR(w->stats));
		reply_once(w, s);
		return;
	}
	sample_render(w, s, &json);
	/* The first one of a single answer is what its second is compared with. */
	w->primed = true;
	if (w->stream)
		(void)http_stream_write(w->stream, json.p, json.len);
}

static void watch_end(struct watching *w)
{
	if (w->stats)
		engine_stats_close(TAKE_PTR(w->stats));
	if (w->stream)
		http_stream_end(TAKE_PTR(w->stream));
	else if (w->once)
		reply_once(w, NULL);
}

static void on_end(void *arg)
{
	watch_end(arg);
}

static void watch_gone(struct api_req *r)
{
	watch_end(api_req_state(r));
}

void container_stats_handler(struct api_req *r)
{
	static const struct engine_stats_ops ops = {.sample = on_sample, .end = on_end};
	bool stream = query_bool(r->query, "stream", true);
	bool one_shot = r->minor >= 41 && query_bool(r->query, "one-shot", false);
	struct container *c = containers_find(r);
	struct watching *w;

	if (!c)
		return;
	if (stream && one_shot) {
		api_reply_fail(r, -EINVAL, "cannot have stream=true and one-shot=true");
		return;
	}
	w = xcalloc(1, sizeof *w);
	*w = (struct watching){.r = r, .id = xstrdup(c->id), .once = !stream, .primed = one_shot};
	w->name = xasprintf("/%s", c->name);
	api_req_own(r, w, watch_gone, watch_free);
	if (!stream && c->status != CONTAINER_RUNNING) {
		reply_once(w, NULL);
		return;
	}
	w->stats = engine_stats(r->ctx, c, &ops, w, &r->err);
	if (!w->stats)
		api_reply_error(r, &r->err);
	else if (stream)
		w->stream = http_reply_stream(r->http, 200, "application/json", LIMIT_STATS_QUEUE);
}
