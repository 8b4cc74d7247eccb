// Files of a sandbox through E2B's JavaScript SDK. Each check prints its name when it holds.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Sandbox, FileNotFoundError, FileType, FilesystemEventType, InvalidArgumentError } from 'e2b'

const connection = {
  apiKey: process.env.RUNTIME_API_KEY,
  apiUrl: process.env.RUNTIME_URL,
  sandboxUrl: process.env.RUNTIME_URL,
}
const digest = (data) => createHash('sha256').update(data).digest('hex')

const checks = {
  async 'text, bytes, blobs and streams are read back'(files) {
    const data = randomBytes(3_000_000)
    await files.write('text.txt', 'grüße 😀')
    assert.equal(await files.read('text.txt'), 'grüße 😀')
    await files.write('data', data.buffer.slice(data.byteOffset, data.byteOffset + data.length))
    assert.equal(digest(await files.read('data', { format: 'bytes' })), digest(data))
    assert.equal((await files.read('data', { format: 'blob' })).size, data.length)
    const received = []
    for await (const chunk of await files.read('data', { format: 'stream' })) received.push(chunk)
    assert.equal(digest(Buffer.concat(received)), digest(data))
    await files.write('streamed', new Blob([data]).stream())
    assert.equal(digest(await files.read('streamed', { format: 'bytes' })), digest(data))
  },

  async 'several files are written at once, whatever their names'(files) {
    const names = ['one/a.txt', 'one/ü 😀.txt', 'one/"quoted".txt']
    const written = await files.write(names.map((path) => ({ path, data: path })))
    assert.deepEqual(written.map(({ path }) => path), names.map((name) => `/home/user/${name}`))
    for (const name of names) assert.equal(await files.read(name), name)
  },

  async 'metadata is kept'(files) {
    const written = await files.write('labelled', 'x', { metadata: { kind: 'note' } })
    assert.deepEqual(written.metadata, { kind: 'note' })
    assert.deepEqual((await files.getInfo('labelled')).metadata, { kind: 'note' })
  },

  async 'gzip both ways gives the same bytes'(files) {
    const text = 'again and again '.repeat(100_000)
    await files.write('packed', text, { gzip: true })
    assert.equal((await files.getInfo('packed')).size, text.length)
    assert.equal(await files.read('packed', { gzip: true }), text)
  },

  async 'directories are made, listed, moved and removed'(files) {
    assert.equal(await files.makeDir('dir/below'), true)
    assert.equal(await files.makeDir('dir/below'), false)
    await files.write('dir/below/file', 'x')
    const entries = await files.list('dir', { depth: 2 })
    assert.deepEqual(entries.map(({ name, type }) => [name, type]), [['below', FileType.DIR], ['file', FileType.FILE]])
    assert.equal((await files.rename('dir', 'moved')).path, '/home/user/moved')
    assert.equal(await files.exists('moved/below/file'), true)
    await files.remove('moved')
    assert.equal(await files.exists('moved'), false)
  },

  async 'what is not there, or cannot be, is said so'(files) {
    await assert.rejects(files.read('missing'), FileNotFoundError)
    await assert.rejects(files.getInfo('missing'), FileNotFoundError)
    await assert.rejects(files.read('/home/user'), InvalidArgumentError)
  },

  async 'changes are told as they happen'(files) {
    await files.makeDir('watched/below')
    const seen = []
    let written
    const done = new Promise((resolve) => (written = resolve))
    const handle = await files.watchDir(
      'watched',
      (event) => {
        seen.push(`${event.type} ${event.name}`)
        if (event.type === FilesystemEventType.WRITE) written()
      },
      { recursive: true, timeoutMs: 10_000 },
    )
    await files.write('watched/below/file', 'x')
    await done
    await handle.stop()
    assert.deepEqual(seen, ['create below/file', 'write below/file'])
  },

  async 'signed links read and write without a key'(files, sandbox) {
    const options = { useSignatureExpiration: 60 }
    const form = new FormData()
    form.append('file', new Blob(['by link']), 'ignored')
    const uploaded = await fetch(await sandbox.uploadUrl('linked', options), { method: 'POST', body: form })
    assert.equal(uploaded.status, 200)
    assert.equal(await (await fetch(await sandbox.downloadUrl('linked', options))).text(), 'by link')
    const expired = await fetch(await sandbox.downloadUrl('linked', { useSignatureExpiration: -60 }))
    assert.equal(expired.status, 401)
  },
}

const sandbox = await Sandbox.create({ ...connection, timeoutMs: 120_000 })
try {
  for (const [name, check] of Object.entries(checks)) {
    await check(sandbox.files, sandbox)
    console.log(name)
  }
} finally {
  await sandbox.kill()
}
