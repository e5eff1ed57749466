// Seeded randomness: a failing run can be run again with FANFARE_SEED.

export function seed() {
  const value = process.env.FANFARE_SEED ? Number(process.env.FANFARE_SEED) : (Date.now() ^ (process.pid << 12)) >>> 0;
  console.log(`seed ${value} (repeat with FANFARE_SEED=${value})`);
  return value;
}

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  // At least 0, below 1.
  next() {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  }

  below(n) {
    return Math.floor(this.next() * n);
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}
