// The same as keys.py for Node: says who is calling, from memory, and never later than promised.
//
//   const keys = new Keys({ connectionString: 'postgresql://shop@db.example/watchfloor' })
//   const caller = await keys.authenticate(secret, '203.0.113.9')
//   if (caller.refusal) ...   // 401 or 403, with that word

import { createHash } from 'node:crypto'
import pg from 'pg'

const POLL_MS = 400
const TRUSTED_MS = 1000 // how long after the home's last answer its answers are trusted
const GIVE_UP = { connectionTimeoutMillis: 2000, query_timeout: 2000 }
const MOST_KEPT = 100_000

export class Keys {
  #pool
  #settings
  #kept = new Map()
  #seen = 0n
  #heardAt = -Infinity
  #closed = false
  #hinted = false
  #rested = () => {}
  #listening

  constructor(settings) {
    this.#settings = { ...GIVE_UP, ...settings }
    this.#pool = new pg.Pool({ max: 4, ...this.#settings })
    this.#pool.on('error', () => {}) // an idle connection died: the next query opens another
    this.#listening = this.#listen()
  }

  // Rejects when the home cannot be asked: refuse the call then.
  async authenticate(secret, address = null) {
    const hash = createHash('sha256').update(secret).digest()
    const asked = `${hash.toString('hex')} ${address ?? ''}`
    const kept = this.#remembered(asked)
    if (kept) return kept
    const { rows: [caller] } = await this.#pool.query('SELECT * FROM wf_data.authenticate($1, $2)', [hash, address])
    // Keep only a valid answer, and only if no news came since it was asked for: they may be about it.
    if (!caller.refusal && BigInt(caller.version) >= this.#seen) {
      if (this.#kept.size >= MOST_KEPT) this.#kept.clear()
      this.#kept.set(asked, caller)
    }
    return caller
  }

  async close() {
    this.#closed = true
    this.#wake()
    await this.#listening
    await this.#pool.end()
  }

  #remembered(asked) {
    const caller = this.#kept.get(asked)
    if (!caller || performance.now() - this.#heardAt > TRUSTED_MS) return null
    return caller.good_until && caller.good_until <= new Date() ? null : caller
  }

  async #listen() {
    while (!this.#closed) {
      const listener = new pg.Client(this.#settings)
      listener.on('error', () => this.#wake())
      listener.on('notification', () => this.#wake())
      try {
        await listener.connect()
        await listener.query('LISTEN wf_keys')
        this.#kept.clear() // this may be another server, or a restored one
        this.#seen = 0n
        while (!this.#closed) {
          await this.#readNews(listener)
          await this.#rest()
        }
      } catch {
        await this.#rest()
      }
      await listener.end().catch(() => {})
    }
  }

  #wake() {
    this.#hinted = true
    this.#rested()
  }

  async #rest() {
    let timer
    if (!this.#hinted) {
      await new Promise((rested) => {
        this.#rested = rested
        timer = setTimeout(rested, POLL_MS)
      })
    }
    clearTimeout(timer)
    this.#hinted = false
  }

  async #readNews(listener) {
    const askedAt = performance.now()
    const { rows } = await listener.query('SELECT version, tenant, key_id FROM wf_data.news($1)', [this.#seen])
    if (rows.length) {
      const told = new Set(rows.map(({ tenant, key_id }) => JSON.stringify([tenant, key_id])))
      for (const [asked, { tenant, key_id }] of this.#kept) {
        // News without a tenant are about everything, without a key about all keys of the tenant.
        const about = [[null, null], [tenant, null], [tenant, key_id]]
        if (about.some((one) => told.has(JSON.stringify(one)))) this.#kept.delete(asked)
      }
      this.#seen = BigInt(rows.at(-1).version)
    }
    this.#heardAt = askedAt
  }
}
