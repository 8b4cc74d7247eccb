// Snapshots, forks and volumes through E2B's JavaScript SDK. Each check is named as a sentence about the product.
import assert from 'node:assert/strict'
import { Sandbox, Volume, VolumeError } from 'e2b'

const url = process.env.RUNTIME_URL
const connection = { apiKey: process.env.RUNTIME_API_KEY, apiUrl: url, sandboxUrl: url }
const short = { ...connection, timeoutMs: 60_000 }

const checks = {
  async 'a snapshot has the files as they were'() {
    const sandbox = await Sandbox.create(short)
    await sandbox.files.write('file', 'before')
    const snapshot = await sandbox.createSnapshot({ name: 'js-work' })
    assert.equal(snapshot.snapshotId, 'default/js-work:default')
    await sandbox.files.write('file', 'after')
    const listed = await sandbox.listSnapshots().nextItems()
    assert.deepEqual(listed.map((each) => each.snapshotId), [snapshot.snapshotId])
    const made = await Sandbox.create(snapshot.snapshotId, short)
    assert.equal(await made.files.read('file'), 'before')
    await Promise.all([made.kill(), sandbox.kill()])
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId, connection), true)
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId, connection), false)
  },
  async 'forks begin with the files of their parent'() {
    const parent = await Sandbox.create(short)
    await parent.files.write('file', 'content')
    const forks = await parent.fork({ timeoutMs: 60_000, count: 2 })
    for (const fork of forks) {
      assert.ok(!(fork instanceof Error))
      assert.equal(await fork.files.read('file'), 'content')
    }
    await Promise.all([parent, ...forks].map((each) => each.kill()))
  },
  async 'a volume is filled from outside and mounted'() {
    const volume = await Volume.create('js-volume', connection)
    await volume.makeDir('/a/b', { force: true })
    const written = await volume.writeFile('/a/b/file', 'content')
    assert.deepEqual([written.type, written.size, written.uid], ['file', 7, 1000])
    await assert.rejects(volume.writeFile('/a/b/file', 'other'), VolumeError)
    assert.deepEqual((await volume.list('/', { depth: 3 })).map((each) => each.path), ['/a', '/a/b', '/a/b/file'])
    assert.equal((await volume.updateMetadata('/a/b/file', { mode: 0o600 })).mode, 0o600)
    const sandbox = await Sandbox.create({ ...short, volumeMounts: { '/mnt/data': volume } })
    assert.equal(await sandbox.files.read('/mnt/data/a/b/file'), 'content')
    await sandbox.files.write('/mnt/data/from-inside', 'more')
    assert.equal(await volume.readFile('/from-inside'), 'more')
    await sandbox.kill()
    await volume.remove('/a')
    assert.equal(await volume.exists('/a'), false)
    await assert.rejects(volume.readFile('/a/b/file'), /not found/)
    const again = await Volume.connect(volume.volumeId, connection)
    assert.equal(again.token, volume.token)
    assert.ok((await Volume.list(connection)).some((each) => each.name === 'js-volume'))
    assert.equal(await Volume.destroy(volume.volumeId, connection), true)
    assert.equal(await Volume.destroy(volume.volumeId, connection), false)
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
