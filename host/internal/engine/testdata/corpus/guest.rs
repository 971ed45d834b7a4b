// The workloads in Rust, with its library: collections, strings, floats, dynamic dispatch, panics.
//
//	rustc --target wasm32-unknown-unknown -C opt-level=2 -C strip=symbols --crate-type cdylib -o rust.wasm guest.rs

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

#[derive(Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x100000001b3);
        }
    }
}

#[no_mangle]
pub extern "C" fn sieve(n: i32) -> i32 {
    let n = n as usize;
    let mut composite = vec![false; n];
    let mut primes = 0;
    for i in 2..n {
        if composite[i] {
            continue;
        }
        primes += 1;
        for j in (2 * i..n).step_by(i) {
            composite[j] = true;
        }
    }
    primes
}

#[no_mangle]
pub extern "C" fn words(rounds: i32) -> i32 {
    let text = "the quick brown fox jumps over the lazy dog and then the dog jumps over the quick fox";
    let mut counts: HashMap<String, usize, BuildHasherDefault<Fnv>> = HashMap::default();
    let mut ordered = BTreeMap::new();
    for i in 0..rounds {
        for word in text.split(' ') {
            *counts.entry(word.to_string()).or_insert(0) += 1;
            ordered.insert(format!("{word}{}", i % 50), word.len());
        }
    }
    counts.values().sum::<usize>() as i32 + ordered.values().sum::<usize>() as i32
}

trait Shape {
    fn area(&self) -> f64;
}
struct Circle(f64);
struct Square(f64);
impl Shape for Circle {
    fn area(&self) -> f64 {
        self.0 * self.0 * std::f64::consts::PI
    }
}
impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

#[no_mangle]
pub extern "C" fn shapes(n: i32) -> f64 {
    let all: Vec<Box<dyn Shape>> = (0..n)
        .map(|i| if i % 3 == 0 { Box::new(Circle(f64::from(i))) as Box<dyn Shape> } else { Box::new(Square(f64::from(i).sqrt())) })
        .collect();
    all.iter().map(|s| s.area()).sum()
}

#[no_mangle]
pub extern "C" fn sorted(n: i32) -> i64 {
    let mut x = 12345u64;
    let mut v: Vec<u64> = (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        })
        .collect();
    v.sort_unstable();
    v.dedup_by_key(|x| *x >> 50);
    v.iter().fold(0i64, |a, b| a.wrapping_mul(31).wrapping_add(*b as i64))
}

#[no_mangle]
pub extern "C" fn outside(i: i32) -> i32 {
    let v = vec![1, 2, 3];
    v[i as usize]
}

#[no_mangle]
pub extern "C" fn recurse(n: i32) -> i32 {
    if n < 2 {
        1
    } else {
        recurse(n - 1) + recurse(n - 2)
    }
}
