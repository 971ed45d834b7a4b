// The workloads in C, without a library.
//
//	clang --target=wasm32 -O2 -mbulk-memory -msign-ext -fno-builtin -c guest.c
//	wasm-ld --no-entry -s -o c.wasm guest.o

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(#name)))

static u8 composite[1 << 20];

EXPORT(sieve) int sieve(int n) {
	__builtin_memset(composite, 0, n);
	int primes = 0;
	for (int i = 2; i < n; i++) {
		if (composite[i]) continue;
		primes++;
		for (int j = i * 2; j < n; j += i) composite[j] = 1;
	}
	return primes;
}

static const u32 k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
	0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
	0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static u32 ror(u32 x, int n) { return x >> n | x << (32 - n); }

static void block(u32 *h, const u8 *p) {
	u32 w[64];
	for (int i = 0; i < 16; i++) w[i] = p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		u32 a = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3, b = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
	u32 s[8];
	for (int i = 0; i < 8; i++) s[i] = h[i];
	for (int i = 0; i < 64; i++) {
		u32 t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		u32 t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		for (int j = 7; j > 0; j--) s[j] = s[j - 1];
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++) h[i] += s[i];
}

static u8 message[4096];

EXPORT(sha) int sha(int rounds) {
	u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	message[0] = 0;
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < 4096; i += 64) block(h, message + i);
		message[0] = h[0];
	}
	return h[7];
}

static int perm1[16], perm[16], count[16];

EXPORT(fannkuch) int fannkuch(int n) {
	for (int i = 0; i < n; i++) perm1[i] = i;
	int flips = 0, r = n;
	for (;;) {
		for (; r != 1; r--) count[r - 1] = r;
		for (int i = 0; i < n; i++) perm[i] = perm1[i];
		int f = 0;
		for (int q = perm[0]; q; q = perm[0], f++)
			for (int i = 0, j = q; i < j; i++, j--) {
				int t = perm[i];
				perm[i] = perm[j], perm[j] = t;
			}
		if (f > flips) flips = f;
		for (;;) {
			if (r == n) return flips;
			int p0 = perm1[0];
			for (int i = 0; i < r; i++) perm1[i] = perm1[i + 1];
			perm1[r] = p0;
			if (--count[r] > 0) break;
			r++;
		}
	}
}

// JSON: a parser by recursion that hashes what it sees.
static const u8 *at;
static u32 seen;

static void space(void) {
	while (*at == ' ' || *at == '\n') at++;
}

static void value(void) {
	space();
	switch (*at) {
	case '{':
	case '[': {
		u8 close = *at++ + 2;
		space();
		while (*at != close) {
			value();
			space();
			if (*at == ':' || *at == ',') at++;
			space();
		}
		at++;
		break;
	}
	case '"':
		for (at++; *at != '"'; at++) {
			if (*at == '\\') at++;
			seen = seen * 31 + *at;
		}
		at++;
		break;
	default: {
		double d = 0;
		for (; *at >= '0' && *at <= '9'; at++) d = d * 10 + (*at - '0');
		if (*at == '.') {
			double f = 0.1;
			for (at++; *at >= '0' && *at <= '9'; at++, f /= 10) d += f * (*at - '0');
		}
		while (*at >= 'a' && *at <= 'z') seen = seen * 31 + *at++;
		seen = seen * 31 + (int)(d * 1000);
	}
	}
}

static const u8 json[] = "{\"id\": 7, \"name\": \"a board\", \"tags\": [\"x\", \"y\\\"\", \"z\"], \"ok\": true, \"none\": null,"
						 " \"attrs\": {\"k\": \"v\", \"q\": [1, 2.5, [3, [4.25]], {\"w\": 1234567}]}}";

EXPORT(jsonround) int jsonround(int rounds) {
	seen = 0;
	for (int i = 0; i < rounds; i++) {
		at = json;
		value();
	}
	return seen;
}

// Regular expressions: Kernighan's matcher, with classes in small letters.
static int here(const u8 *re, const u8 *s);

static int one(u8 c, u8 s) { return s && (c == '.' || (c == 'a' ? s >= 'a' && s <= 'z' : c == s)); }

static int star(u8 c, const u8 *re, const u8 *s) {
	do {
		if (here(re, s)) return 1;
	} while (one(c, *s++));
	return 0;
}

static int here(const u8 *re, const u8 *s) {
	if (!re[0]) return 1;
	if (re[1] == '*') return star(re[0], re + 2, s);
	if (re[0] == '$' && !re[1]) return !*s;
	return one(re[0], *s) && here(re + 1, s + 1);
}

static const u8 text[] = "write to someone at nobody@example.org, or somebody@example.com, but not @example.net";

EXPORT(regex) int regex(int rounds) {
	int n = 0;
	for (int i = 0; i < rounds; i++)
		for (const u8 *s = text; *s; s++) n += here((const u8 *)"aa*@aa*.cOm", s) + here((const u8 *)"aa*@aa*.*.com", s);
	return n;
}

EXPORT(recurse) int recurse(int n) { return n < 2 ? 1 : recurse(n - 1) + recurse(n - 2); }
