/** Seeded random numbers, so that a failure of a random test can be seen again. */

/** mulberry32: () => number in 0..1. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The usual draws from one source of random numbers. */
export class Dice {
  constructor(seed) {
    this.roll = seeded(seed);
  }

  chance(probability) {
    return this.roll() < probability;
  }

  between(low, high) {
    return low + this.roll() * (high - low);
  }

  whole(low, high) {
    return Math.floor(this.between(low, high + 1));
  }

  of(choices) {
    return choices[this.whole(0, choices.length - 1)];
  }

  list(least, most, make) {
    return Array.from({ length: this.whole(least, most) }, make);
  }

  /** A position on the canvas or a little off it, at times on whole pixels. */
  position(spread = 80) {
    const [x, y] = [this.between(-20, spread), this.between(-20, spread)];
    return this.chance(0.3) ? [Math.round(x), Math.round(y)] : [x, y];
  }

  /** A position as a control point, at times with handles. */
  point() {
    const [x, y] = this.position();
    const handles = this.chance(0.3) ? { handle_in: this.position(20), handle_out: this.position(20) } : {};
    return { x, y, ...handles };
  }
}
