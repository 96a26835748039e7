// The same as keys.py for Node: who is calling, answered from memory, and never later than promised.
//
//   const keys = new Keys({ connectionString: 'postgresql://shop@db.example/watchfloor' })
//   const caller = await keys.authenticate(secret, '203.0.113.9')
//   if (caller.refusal) ...   // 401 or 403, with that word

import { createHash } from 'node:crypto'
import pg from 'pg'

const POLL_MS = 400
const TRUSTED_MS = 1000 // so long after the last answer of the home its answers are believed
const MOST_KEPT = 100_000

export class Keys {
  #pool
  #settings
  #kept = new Map()
  #seen = 0n
  #heardAt = -Infinity
  #closed = false
  #listener = null
  #timer = null

  constructor(settings) {
    this.#settings = settings
    this.#pool = new pg.Pool({ max: 4, ...settings })
    this.#pool.on('error', () => {}) // a resting connection died: the next question opens another
    this.#listen()
  }

  // Rejects when the home cannot be asked: refuse the call then.
  async authenticate(secret, address = null) {
    const hash = createHash('sha256').update(secret).digest()
    const asked = `${hash.toString('hex')} ${address ?? ''}`
    const kept = this.#remembered(asked)
    if (kept) return kept
    const { rows: [caller] } = await this.#pool.query('SELECT * FROM wf_data.authenticate($1, $2)', [hash, address])
    // Only what is good, and only when no news came since it was asked: they may be about it.
    if (!caller.refusal && BigInt(caller.version) >= this.#seen) {
      if (this.#kept.size >= MOST_KEPT) this.#kept.clear()
      this.#kept.set(asked, caller)
    }
    return caller
  }

  async close() {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#listener?.end()
    await this.#pool.end()
  }

  #remembered(asked) {
    const caller = this.#kept.get(asked)
    if (!caller || performance.now() - this.#heardAt > TRUSTED_MS) return null
    return caller.good_until && caller.good_until <= new Date() ? null : caller
  }

  async #listen() {
    if (this.#closed) return
    const listener = new pg.Client(this.#settings)
    this.#listener = listener
    listener.on('error', () => {})
    listener.on('notification', () => this.#readNews().catch(() => {}))
    try {
      await listener.connect()
      await listener.query('LISTEN wf_keys')
      while (!this.#closed) {
        await this.#readNews()
        await this.#rest()
      }
    } catch {
      await listener.end().catch(() => {})
      await this.#rest()
      this.#listen()
    }
  }

  #rest() {
    return new Promise((done) => { this.#timer = setTimeout(done, POLL_MS) })
  }

  async #readNews() {
    const askedAt = performance.now()
    const { rows } = await this.#listener.query('SELECT version, tenant, key_id FROM wf_data.news($1)', [this.#seen])
    for (const { version, tenant, key_id } of rows) {
      this.#seen = BigInt(version)
      for (const [asked, caller] of this.#kept) {
        if (tenant === null || (caller.tenant === tenant && (key_id === null || caller.key_id === key_id))) {
          this.#kept.delete(asked)
        }
      }
    }
    this.#heardAt = askedAt
  }
}
