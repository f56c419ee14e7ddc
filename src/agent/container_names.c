/*
 * Names of containers: chosen, checked, changed.
 */
#include <ctype.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/network.h"
#include "base/id.h"

#define NAME_TRIES 16
#define CONTAINER_NAME_MAX 255

static const char *const adjectives[] = {
	"amber",  "ample",  "bold",   "brave",  "bright", "brisk",  "calm",    "candid",  "clear",
	"clever", "cosy",   "crisp",  "daring", "deft",   "eager",  "earnest", "exact",   "fair",
	"famous", "fond",   "frank",  "fresh",  "gentle", "glad",   "golden",  "good",    "grand",
	"happy",  "hardy",  "honest", "humble", "jolly",  "keen",   "kind",    "lively",  "loyal",
	"lucid",  "merry",  "mild",   "modest", "neat",   "nimble", "noble",   "patient", "plain",
	"proud",  "quick",  "quiet",  "ready",  "robust", "serene", "sharp",   "silent",  "sober",
	"steady", "sturdy", "sunny",  "swift",  "tidy",   "vivid",  "warm",    "wise",    "witty",
};

static const char *const surnames[] = {
	"abel",     "ampere",    "archimedes", "babbage",  "banach",   "bell",     "bernoulli",
	"bohr",     "boole",     "brahe",      "cantor",   "carson",   "cauchy",   "church",
	"curie",    "darwin",    "descartes",  "dijkstra", "dirac",    "einstein", "euclid",
	"euler",    "faraday",   "fermat",     "fermi",    "fourier",  "franklin", "galileo",
	"galois",   "gauss",     "germain",    "goedel",   "hamilton", "hertz",    "hilbert",
	"hopper",   "huygens",   "hypatia",    "johnson",  "kepler",   "knuth",    "kovalevskaya",
	"lagrange", "lamport",   "laplace",    "leibniz",  "linnaeus", "lovelace", "maxwell",
	"meitner",  "mendel",    "newton",     "noether",  "pascal",   "pasteur",  "planck",
	"ptolemy",  "ramanujan", "riemann",    "ritchie",  "shannon",  "tesla",    "turing",
	"volta",
};

static bool is_taken(struct engine *e, const char *name)
{
	struct container_live *l;

	HASH_FIND(hh_name, e->by_name, name, strlen(name), l);
	return l != NULL;
}

char *container_name_choose(struct engine *e)
{
	for (int i = 0;; i++) {
		uint64_t r = random_u64();
		const char *a = adjectives[r % ARRAY_LEN(adjectives)];
		const char *s = surnames[(r >> 16) % ARRAY_LEN(surnames)];
		char *name = i < NAME_TRIES ? xasprintf("%s_%s", a, s)
					    : xasprintf("%s_%s%u", a, s, (unsigned)(r >> 48));

		if (!is_taken(e, name))
			return name;
		free(name);
	}
}

int container_name_check(struct engine *e, const char *name, struct err *err)
{
	struct container_live *l;
	size_t n = strlen(name);
	bool ok = n >= 2 && n <= CONTAINER_NAME_MAX && isalnum((unsigned char)name[0]);

	for (size_t i = 0; i < n; i++)
		ok = ok && (isalnum((unsigned char)name[i]) || strchr("_.-", name[i]));
	if (!ok)
		return err_set(
			err, -EINVAL,
			"Invalid container name (%.255s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are "
			"allowed",
			name);
	HASH_FIND(hh_name, e->by_name, name, n, l);
	if (l)
		return err_set(
			err, -EEXIST,
			"Conflict. The container name \"/%s\" is already in use by container "
			"\"%s\". You have to remove (or rename) that container to be able to "
			"reuse that name.",
			name, l->c->id);
	return 0;
}

int engine_container_rename(struct engine *e, struct container *c, const char *name,
			    struct err *err)
{
	struct container_live *l = c->live;
	auto_free char *old = xstrdup(c->name);
	int rc;

	if (name[0] == '/')
		name++;
	if (strcmp(name, c->name) == 0)
		return err_set(err, -EINVAL,
			       "Renaming a container with the same name as its current name");
	rc = container_name_check(e, name, err);
	if (rc < 0)
		return rc;
	HASH_DELETE(hh_name, e->by_name, l);
	str_set(&c->name, name);
	rc = container_store(l, err);
	if (rc < 0)
		str_set(&c->name, old);
	HASH_ADD_KEYPTR(hh_name, e->by_name, c->name, strlen(c->name), l);
	if (rc < 0)
		return rc;
	network_container_renamed(e, c);
	container_event(l, "rename", "oldName", old);
	return 0;
}
