/*
 * Inside the raft disk only: what raft_disk.c (the raft_io), raft_disk_seal.c (boxes),
 * raft_disk_trim.c (empty segments) and raft_disk_watch.c (errors that raft_uv keeps to itself)
 * share.
 */
#pragma once

#include <raft.h>
#include <raft/uv.h>

#include "manager/raft_disk.h"

struct raft_disk {
	struct raft_io io; /* the node's */
	struct raft_io uv; /* raft_uv's */
	struct raft_uv_transport transport;
	struct raft_tracer tracer;
	uv_loop_t *loop;
	char *dir;
	struct seal_key *key;
	struct sealer *sealer; /* the loop's */
	raft_index next;       /* index of the next entry that is appended */
	raft_io_tick_cb tick;
	raft_io_close_cb closed;
	bool inited;
	bool closing;
	bool uv_closed;
	unsigned jobs;
	_Atomic unsigned segment_retries;  /* in a row, with room on the disk */
	_Atomic unsigned snapshot_retries; /* the same */
	_Atomic bool truncated;            /* the last truncation came through */
	_Atomic uint64_t warned_ms;        /* when a full disk was last spoken of */
};

/* raft_disk_watch.c */
void disk_watch(struct raft_disk *d);
void disk_fatal(const struct raft_disk *d, const char *what, const char *why)
	__attribute__((noreturn));
/* Whether the disk has no room for another segment of the log. */
bool disk_is_full(const struct raft_disk *d);
/* KiB that the log can take. */
unsigned short disk_capacity(struct raft_disk *d);
/* A little space that is given up when a term or vote has to be stored on a full disk. */
void disk_reserve(const struct raft_disk *d);
void disk_reserve_give(const struct raft_disk *d);

/* raft_disk_trim.c: before the log is loaded. */
void disk_trim(const struct raft_disk *d);

/* raft_disk_seal.c: all of them 0 or -errno. */
int disk_seal_entry(struct sealer *s, const struct raft_entry *entry, raft_index index,
		    uint8_t *ret);
/* In place; `entry` is made to show the plain text. */
int disk_open_entry(struct sealer *s, struct raft_entry *entry, raft_index index);
size_t disk_snapshot_sealed_len(size_t plain);
int disk_seal_snapshot(struct sealer *s, const struct raft_snapshot *snapshot, uint8_t *ret);
/* Replaces the one buffer of `snapshot` by its plain text. */
int disk_open_snapshot(struct sealer *s, struct raft_snapshot *snapshot);
