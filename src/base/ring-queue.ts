/** First in, first out, on an array that grows by doubling and is reused: no allocation per item. */
export class RingQueue<T> {
  #items: (T | undefined)[]
  #head = 0
  #length = 0

  /** @param capacity initial room, a power of two */
  constructor(capacity = 16) {
    this.#items = new Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  get first(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head]
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item
    this.#length++
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#items.length - 1)
    this.#length--
    return item
  }

  #grow(): void {
    const grown: (T | undefined)[] = new Array(this.#items.length * 2)
    for (let at = 0; at < this.#length; at++) grown[at] = this.#items[(this.#head + at) & (this.#items.length - 1)]
    this.#items = grown
    this.#head = 0
  }
}
