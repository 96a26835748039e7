// The Node client of docs/examples as a child process: a secret and an address a line in, an answer a line out.

import { createInterface } from 'node:readline'
import { Keys } from '../../docs/examples/keys.mjs'

const keys = new Keys({ connectionString: process.env.SHOP_HOME })
for await (const line of createInterface({ input: process.stdin })) {
  const [secret, address] = JSON.parse(line)
  const answer = await keys.authenticate(secret, address).catch((error) => ({ away: String(error) }))
  console.log(JSON.stringify(answer))
}
await keys.close()
