/* A digest of weights: whether they are those that were packed before. 1024 bits, each step bijective in the digest and in
 * the words that it takes, so that a change of one element always shows. A product makes it depend on the order; one alone
 * leaves the highest bit, a sign, where it is, and a later change of sign would cancel it: hence the rotation, and another. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t digest_words __attribute__((vector_size(64)));

static inline void digest_step(digest_words *h, const char *at)
{
    digest_words x;
    memcpy(&x, at, sizeof x);
    x = (*h ^ x) * 0x9e3779b97f4a7c15u;
    x = x << 32 | x >> 32;
    *h = x * 0xd6e8feb86659fd93u;
}

static void digest(const char *at, ptrdiff_t nbytes, uint64_t *out)
{
    digest_words a = {1, 2, 3, 4, 5, 6, 7, 8}, b = {9, 10, 11, 12, 13, 14, 15, 16};
    const ptrdiff_t both = 2 * sizeof(digest_words);
    char rest[2 * sizeof(digest_words)] = {0};
    for (; nbytes >= both; at += both, nbytes -= both) {
        digest_step(&a, at);
        digest_step(&b, at + sizeof a);
    }
    memcpy(rest, at, (size_t)nbytes);
    digest_step(&a, rest);
    digest_step(&b, rest + sizeof a);
    memcpy(out, &a, sizeof a);
    memcpy(out + 8, &b, sizeof b);
}
