// The workloads in AssemblyScript, with its garbage collector.
//
//	asc guest.ts -O2 --runtime incremental --enable simd --use abort= --noAssert -o assemblyscript.wasm

class Node {
  constructor(public key: i32, public left: Node | null, public right: Node | null) {}
}

function insert(n: Node | null, key: i32): Node {
  if (n === null) return new Node(key, null, null);
  if (key < n.key) n.left = insert(n.left, key);
  else if (key > n.key) n.right = insert(n.right, key);
  return n;
}

function sum(n: Node | null): i32 {
  return n === null ? 0 : n.key + sum(n.left) + sum(n.right);
}

export function tree(n: i32): i32 {
  let root: Node | null = null;
  let x = 12345;
  for (let i = 0; i < n; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    root = insert(root, x % 10007);
  }
  return sum(root);
}

export function sieve(n: i32): i32 {
  const composite = new StaticArray<bool>(n);
  let primes = 0;
  for (let i = 2; i < n; i++) {
    if (composite[i]) continue;
    primes++;
    for (let j = i * 2; j < n; j += i) composite[j] = true;
  }
  return primes;
}

export function strings(n: i32): i32 {
  const seen = new Map<string, i32>();
  for (let i = 0; i < n; i++) {
    const key = "key " + (i % 100).toString() + " of " + (i * 0.5).toString();
    seen.set(key, i);
  }
  let total = 0;
  const keys = seen.keys();
  for (let i = 0; i < keys.length; i++) total += keys[i].length + seen.get(keys[i]);
  return total;
}

export function matrix(n: i32): f64 {
  const a = new Float64Array(n * n), b = new Float64Array(n * n);
  for (let i = 0; i < n * n; i++) {
    a[i] = Math.sin(i);
    b[i] = 1.0 / (i + 1);
  }
  let trace = 0.0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) trace += a[i * n + k] * b[k * n + j];
  return trace;
}

export function lanes(n: i32): i32 {
  let v = i32x4(1, 2, 3, 4);
  for (let i = 0; i < n; i++) v = i32x4.add(i32x4.mul(v, i32x4.splat(3)), i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  return i32x4.extract_lane(v, 0) ^ i32x4.extract_lane(v, 3);
}

export function recurse(n: i32): i32 {
  return n < 2 ? 1 : recurse(n - 1) + recurse(n - 2);
}
