/*
 * Sealing of byte ranges at rest: raft entries and snapshots, under a data key that each manager
 * makes for itself. AES-256-GCM. Knows nothing of raft or the store. Callers: the raft wrapper.
 *
 * A sealed box is a header of 24 bytes (u8 version, u8 key number, u16 zero, 12 bytes of salt, u64
 * counter), the ciphertext (as long as the plaintext) and a tag of 16 bytes: SEAL_OVERHEAD = 40, a
 * multiple of 8, so that a plaintext padded to 8 gives a box of a multiple of 8. The key of a box
 * is derived (HKDF-SHA-256) from the data key and the salt; each sealer draws a random salt when
 * it is made, and its nonce is a counter under the derived key. So nonces never repeat however many
 * entries are sealed and however often a manager restarts or two threads seal at once. Header and
 * the caller's associated data are authenticated with the text.
 *
 * The data key lives in a file of mode 0600 in the manager's folder, in the clear, or sealed under
 * the unlock key (autolock): turning autolock on or off rewrites that file alone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEAL_KEY_LEN 32
#define SEAL_OVERHEAD 40

struct seal_key; /* a data key in locked memory; reference-counted atomically, immutable */
struct sealer;   /* a data key ready for use, by one thread at a time */

/* Makes a random key. Never fails. */
struct seal_key *seal_key_new(void);
struct seal_key *seal_key_ref(struct seal_key *k);
void seal_key_unref(struct seal_key *k);

/*
 * Reads the data key from the file `name` of `dirfd`. `unlock` (SEAL_KEY_LEN bytes) may be NULL.
 * 0, -ENOENT, -ENOKEY when the file is sealed and `unlock` is missing or wrong, -EBADMSG when the
 * file is damaged, -EPERM when others than its owner may read it.
 */
int seal_key_load(int dirfd, const char *name, const uint8_t *unlock, struct seal_key **ret,
		  struct err *e);
/* Writes it, whole or not at all; sealed under `unlock` unless that is NULL. 0 or -errno. */
int seal_key_store(const struct seal_key *k, int dirfd, const char *name, const uint8_t *unlock,
		   struct err *e);

/* Make one for each thread. 0 or -EIO. */
int sealer_new(struct seal_key *k, struct sealer **ret, struct err *e);
void sealer_free(struct sealer *s);

/*
 * Seals `n` bytes into `ret`, which holds n + SEAL_OVERHEAD bytes and does not overlap. `ad` is
 * what the box must be opened with again (an entry's term and index, say); it is not stored.
 * 0, or -EMSGSIZE above 1 GiB.
 */
int seal_box(struct sealer *s, const void *ad, size_t ad_len, const void *plain, size_t n,
	     uint8_t *ret);
/*
 * Opens a box of `n` bytes into `ret`, which holds n - SEAL_OVERHEAD bytes and may be the place
 * of the box's own text (box + SEAL_HEADER) but not overlap it otherwise. -EBADMSG when the box,
 * the key or `ad` is not the right one; `ret` is zeroed then.
 */
int seal_open(struct sealer *s, const void *ad, size_t ad_len, const void *box, size_t n,
	      uint8_t *ret);

#define SEAL_HEADER 24
