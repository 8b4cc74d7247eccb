// Sandboxes and commands through E2B's JavaScript SDK. Each check is named as a sentence about the product.
import assert from 'node:assert/strict'
import { CommandExitError, Sandbox, SandboxNotFoundError, TimeoutError } from 'e2b'

const url = process.env.RUNTIME_URL
const connection = { apiKey: process.env.RUNTIME_API_KEY, apiUrl: url, sandboxUrl: url }
const sandbox = await Sandbox.create({ ...connection, timeoutMs: 120_000, metadata: { from: 'js' }, envs: { WHERE: 'js' } })

const checks = {
  async 'a command gives its output and exit code'() {
    const result = await sandbox.commands.run('echo $WHERE; echo err >&2')
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['js\n', 'err\n', 0])
  },
  async 'an exit code is exact'() {
    await assert.rejects(sandbox.commands.run('exit 42'), (error) => error instanceof CommandExitError && error.exitCode === 42)
  },
  async 'output arrives while the command runs'() {
    const seen = []
    const handle = await sandbox.commands.run('for i in 1 2 3; do echo $i; sleep 0.05; done', {
      background: true,
      onStdout: (part) => { seen.push(part) },
    })
    await handle.wait()
    assert.equal(seen.join(''), '1\n2\n3\n')
    assert.ok(seen.length > 1)
  },
  async 'a killed command says so'() {
    const handle = await sandbox.commands.run('sleep 60', { background: true })
    assert.equal((await sandbox.commands.list())[0].pid, handle.pid)
    assert.equal(await handle.kill(), true)
    await assert.rejects(handle.wait(), (error) => error.exitCode === -1 && error.error === 'signal: killed')
  },
  async 'a timeout is told as one'() {
    await assert.rejects(sandbox.commands.run('sleep 60', { timeoutMs: 300 }), TimeoutError)
  },
  async 'input reaches a command'() {
    const handle = await sandbox.commands.run('head -n 1', { background: true, stdin: true })
    await sandbox.commands.sendStdin(handle.pid, 'typed\n')
    assert.equal((await handle.wait()).stdout, 'typed\n')
  },
  async 'a terminal echoes and resizes'() {
    let seen = ''
    let arrived
    const end = new Promise((resolve) => { arrived = resolve })
    const handle = await sandbox.pty.create({
      cols: 100,
      rows: 30,
      onData: (data) => {
        seen += new TextDecoder().decode(data)
        if (/40 120\r\n/.test(seen)) arrived()
      },
    })
    await sandbox.pty.resize(handle.pid, { cols: 120, rows: 40 })
    await sandbox.pty.sendInput(handle.pid, new TextEncoder().encode('stty size\n'))
    await end
    assert.equal(await sandbox.pty.kill(handle.pid), true)
  },
  async 'a sandbox is found by its metadata'() {
    const page = await Sandbox.list({ ...connection, query: { metadata: { from: 'js' } } }).nextItems()
    assert.ok(page.some((each) => each.sandboxId === sandbox.sandboxId))
  },
  async 'a sandbox pauses and goes on'() {
    const handle = await sandbox.commands.run('sleep 60', { background: true })
    assert.equal(await sandbox.pause(), true)
    assert.equal(await sandbox.isRunning(), false)
    const resumed = await Sandbox.connect(sandbox.sandboxId, { ...connection, timeoutMs: 60_000 })
    assert.equal((await resumed.commands.list())[0].pid, handle.pid)
    await resumed.commands.kill(handle.pid)
  },
  async 'its end can be moved'() {
    await sandbox.setTimeout(600_000)
    const info = await sandbox.getInfo()
    assert.ok(Math.abs(info.endAt.getTime() - Date.now() - 600_000) < 10_000)
  },
  async 'its metrics are told'() {
    const samples = await sandbox.getMetrics()
    assert.ok(samples.length > 0 && samples.at(-1).memTotal > 0)
  },
  async 'a killed sandbox is gone'() {
    assert.equal(await sandbox.kill(), true)
    await assert.rejects(sandbox.getInfo(), SandboxNotFoundError)
    assert.equal(await sandbox.isRunning(), false)
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
process.exit(failed === 0 ? 0 : 1)
