/*
 * Names of two words. See nickname.h.
 */
#include "base/nickname.h"

#include <stdint.h>

#include "base/id.h"
#include "base/mem.h"

#define NAME_TRIES 16 /* without a number */

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

char *nickname_choose(bool (*taken)(const char *name, void *arg), void *arg)
{
	for (int i = 0;; i++) {
		uint64_t r = random_u64();
		const char *a = adjectives[r % ARRAY_LEN(adjectives)];
		const char *s = surnames[(r >> 16) % ARRAY_LEN(surnames)];
		char *name = i < NAME_TRIES ? xasprintf("%s_%s", a, s)
					    : xasprintf("%s_%s%u", a, s, (unsigned)(r >> 48));

		if (!taken(name, arg))
			return name;
		free(name);
	}
}
