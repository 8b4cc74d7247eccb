// The methods of E2B's JavaScript SDK that the other scripts don't call. Each check is named as a sentence.
import assert from 'node:assert/strict'
import { E2B, NotFoundError, Sandbox, SandboxNotFoundError, Secret, SecretNotFoundError } from 'e2b'

const url = process.env.RUNTIME_URL
const connection = { apiKey: process.env.RUNTIME_API_KEY, apiUrl: url, sandboxUrl: url }
const sandbox = await Sandbox.create('base', { ...connection, timeoutMs: 120_000 })

const checks = {
  async 'a sandbox is asked for and changed by its id'() {
    const id = sandbox.sandboxId
    await Sandbox.setTimeout(id, 200_000, connection)
    const info = await Sandbox.getInfo(id, connection)
    assert.deepEqual([info.sandboxId, info.templateId, info.state], [id, 'base', 'running'])
    assert.equal((await Sandbox.getFullInfo(id, connection)).sandboxDomain, new URL(url).host.replace('127.0.0.1', 'localhost'))
    assert.ok((await Sandbox.getMetrics(id, connection)).at(-1).cpuCount >= 1)
    assert.match(sandbox.getHost(3000), new RegExp(`^3000-${id}\\.`))
    assert.equal(await Sandbox.pause(id, connection), true)
    assert.equal(await Sandbox.pause(id, connection), false)
    await sandbox.connect({ timeoutMs: 100_000 })
    assert.equal(await sandbox.isRunning(), true)
  },
  async 'a client holds one runtime for all its classes'() {
    const client = new E2B(connection)
    const other = await client.Sandbox.create({ timeoutMs: 60_000 })
    assert.equal((await other.commands.run('echo other')).stdout, 'other\n')
    assert.equal(await client.Sandbox.kill(other.sandboxId), true)
    assert.equal(await client.Sandbox.kill(other.sandboxId), false)
    await assert.rejects(client.Sandbox.connect(other.sandboxId), SandboxNotFoundError)
  },
  async 'lists come in pages and in order'() {
    const metadata = { javascript: 'pages' }
    const made = []
    for (let n = 0; n < 2; n += 1) made.push(await Sandbox.create({ ...connection, timeoutMs: 60_000, metadata }))
    const pages = Sandbox.list({ ...connection, limit: 1, order: 'asc', query: { metadata, state: ['running', 'paused'] } })
    const found = []
    while (pages.hasNext) found.push(...(await pages.nextItems()))
    assert.deepEqual(found.map((each) => each.sandboxId), made.map((each) => each.sandboxId))
    await Promise.all(made.map((each) => each.kill()))
  },
  async 'a running command is joined, fed and closed'() {
    const handle = await sandbox.commands.run('cat', { background: true, stdin: true })
    const again = await sandbox.commands.connect(handle.pid)
    await handle.sendStdin('one ')
    await sandbox.commands.sendStdin(handle.pid, 'two')
    await handle.closeStdin()
    assert.match((await again.wait()).stdout, /two$/)
    assert.equal((await handle.wait()).stdout, 'one two')
    await assert.rejects(sandbox.commands.connect(4_000_000), NotFoundError)
  },
  async 'a command goes on when it is let go'() {
    const handle = await sandbox.commands.run('sleep 60', { background: true })
    await handle.disconnect()
    assert.ok((await sandbox.commands.list()).some(({ pid }) => pid === handle.pid))
    assert.equal(await sandbox.commands.kill(handle.pid), true)
    const fed = await sandbox.commands.run('wc -c', { background: true, stdin: true })
    await sandbox.commands.closeStdin(fed.pid)
    assert.equal((await fed.wait()).stdout.trim(), '0')
  },
  async 'a terminal is joined again'() {
    const size = { cols: 80, rows: 24 }
    const handle = await sandbox.pty.create({ ...size, onData: () => {} })
    await handle.disconnect()
    const again = await sandbox.pty.connect(handle.pid, { onData: () => {} })
    await sandbox.pty.sendInput(handle.pid, new TextEncoder().encode('exit 7\n'))
    await assert.rejects(again.wait(), (error) => error.exitCode === 7)
    assert.equal(await sandbox.pty.kill(handle.pid), false)
  },
  async 'secrets are kept and never told'() {
    const made = await Secret.create('javascript-key', 'value', { ...connection, metadata: { from: 'js' } })
    assert.equal((await Secret.update('javascript-key', 'next', connection)).version, 2)
    assert.deepEqual((await Secret.getInfo(made.secretId, connection)).metadata, { from: 'js' })
    assert.ok((await Secret.list(connection).nextItems()).some(({ name }) => name === 'javascript-key'))
    assert.equal(await Secret.exists('javascript-key', connection), true)
    assert.equal(await Secret.destroy('javascript-key', connection), true)
    await assert.rejects(Secret.getInfo('javascript-key', connection), SecretNotFoundError)
  },
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  try {
    await check()
    console.log(`ok   ${name}`)
  } catch (error) {
    failed += 1
    console.log(`FAIL ${name}: ${error.stack}`)
  }
}
await sandbox.kill()
process.exit(failed ? 1 : 0) // a timer of the SDK may outlast a stream that was let go
