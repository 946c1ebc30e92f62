// The official JavaScript clients, one command on a line of stdin, what they say on lines of stdout, both JSON.
import { createInterface } from 'node:readline'
import { RealtimeClient } from '@supabase/realtime-js'
import { createClient } from '@supabase/supabase-js'

const say = (id, what) => process.stdout.write(JSON.stringify({ id, ...what }) + '\n')
const subscribers = new Map()

class Subscriber {
  constructor({ id, client, vsn, url, key, token }) {
    this.id = id
    this.token = token
    const options = { vsn }
    if (client === 'supabase-js') {
      const accessToken = token === null ? undefined : async () => this.token
      this.supabase = createClient(url, key, { realtime: options, ...(accessToken && { accessToken }) })
      this.realtime = this.supabase.realtime
    } else {
      this.realtime = new RealtimeClient(`${url.replace(/^http/, 'ws')}/realtime/v1`, { ...options, params: { apikey: key } })
    }
    this.channels = new Map()
  }

  async setToken(token) {
    this.token = token
    // supabase-js asks its callback, which is the source of truth there
    await (this.supabase && token !== null ? this.realtime.setAuth() : this.realtime.setAuth(token))
  }

  subscribe({ name, bindings }) {
    const channel = (this.supabase ?? this.realtime).channel(name)
    this.channels.set(name, channel)
    for (const binding of bindings) {
      channel.on('postgres_changes', binding, (change) => say(this.id, { name, change }))
    }
    channel.on('system', {}, (payload) => say(this.id, { name, system: payload }))
    channel.subscribe((status, error) => say(this.id, { name, status, error: error?.message ?? null }))
  }

  async leave({ name }) {
    say(this.id, { name, left: await this.channels.get(name).unsubscribe() })
  }

  async send({ name, type, event }) {
    say(this.id, { name, sent: await this.channels.get(name).send({ type, event, payload: { a: 1 } }) })
  }

  async close() {
    await this.realtime.removeAllChannels()
    await this.realtime.disconnect()
  }
}

const commands = {
  async open(command) {
    const subscriber = new Subscriber(command)
    subscribers.set(command.id, subscriber)
    if (command.token !== null) await subscriber.setToken(command.token)
  },
  subscribe: async (command) => subscribers.get(command.id).subscribe(command),
  token: async (command) => subscribers.get(command.id).setToken(command.token),
  leave: async (command) => subscribers.get(command.id).leave(command),
  send: async (command) => subscribers.get(command.id).send(command),
  close: async (command) => subscribers.get(command.id).close(),
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  // Beside one another: a client that waits for a service that has gone holds up no other.
  commands[command.do](command).then(
    () => say(command.id, { done: command.do }),
    (error) => say(command.id, { failed: command.do, error: String(error) }),
  )
}
process.exit(0)
