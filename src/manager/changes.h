/*
 * A batch of changes to the store: what a write or a step of a core proposes, and what one raft
 * entry carries. Each change names the version it was made from; the batch is applied whole or
 * rejected whole, identically on every manager. Written by the cores, the control API and the
 * dispatcher; read by the store alone.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "model/object.h"

enum change_op {
	CHANGE_CREATE = 1,
	CHANGE_UPDATE = 2,
	CHANGE_DELETE = 3,
};

struct change {
	enum change_op op;
	enum object_kind kind;
	uint64_t expect;       /* version that the stored object must have; 0 for a create */
	char *id;              /* its own copy */
	struct object *object; /* the new object, one reference of it; NULL for a delete */
	size_t bytes;          /* about what it takes in the encoded batch */
};

struct changes {
	struct change *v;
	size_t n;
	size_t cap;
	size_t bytes; /* about what the encoded batch takes */
	struct buf scratch;
};

void changes_init(struct changes *c);
void changes_done(struct changes *c);
/* Forgets the changes from `n` on: a builder that fails midway takes its part back. */
void changes_truncate(struct changes *c, size_t n);

/*
 * Each takes the new object over (made by object_new() or object_clone()), and sets its `updated`
 * to `now_ns`. `old` is the object as the store has it.
 */
void changes_create(struct changes *c, struct object *object);
void changes_update(struct changes *c, const struct object *old, struct object *object,
		    int64_t now_ns);
void changes_delete(struct changes *c, const struct object *old);

/* Whether there is room for more within LIMIT_BATCH and LIMIT_ENTRY, with some reserve. */
bool changes_fit(const struct changes *c);

/* The binary form; 0, or -EMSGSIZE past the bound of `ret`. */
int changes_encode(const struct changes *c, struct buf *ret);
/* Appends the changes from `from` on to a batch that changes_encode() or this began. */
int changes_encode_from(const struct changes *c, size_t from, struct buf *ret);
/* Whether a batch in that form changes an object that has secrets in it. */
bool changes_hold_secrets(const void *p, size_t n);
/*
 * Reads changes_encode()'s form into the empty `ret`. -EBADMSG when it is damaged; `ret` is empty
 * then.
 */
int changes_decode(const void *p, size_t n, struct changes *ret, struct err *e);
