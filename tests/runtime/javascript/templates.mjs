// Templates through E2B's JavaScript SDK. Each check is named as a sentence about the product.
import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuildError, Sandbox, Template, waitForPort } from 'e2b'

const url = process.env.RUNTIME_URL
const connection = { apiKey: process.env.RUNTIME_API_KEY, apiUrl: url, sandboxUrl: url }
const folder = await mkdtemp(join(tmpdir(), 'template-'))
await writeFile(join(folder, 'index.html'), 'served\n')

const checks = {
  async 'a template is built with files and a server that answers at once'() {
    const told = []
    const template = Template({ fileContextPath: folder })
      .fromBaseImage()
      .setEnvs({ WORD: 'hello' })
      .setWorkdir('/srv/site')
      .copy('index.html', '.')
      .runCmd('echo $WORD > word')
      .runCmd('echo mine > /opt/owner', { user: 'root' })
      .setStartCmd('python3 -m http.server 8124', waitForPort(8124))
    const built = await Template.build(template, 'js-site', {
      ...connection, cpuCount: 1, memoryMB: 512, tags: ['v1'], onBuildLogs: (entry) => told.push(entry.message),
    })
    assert.ok(told.includes("Uploaded 'index.html'") && told.includes('Build finished'))
    const sandbox = await Sandbox.create('js-site:v1', { ...connection, timeoutMs: 60_000 })
    const result = await sandbox.commands.run('curl -s localhost:8124; cat word /opt/owner')
    assert.equal(result.stdout, 'served\nhello\nmine\n')
    const info = await sandbox.getInfo()
    assert.deepEqual([info.templateId, info.memoryMB], [built.templateId, 512])
    await sandbox.kill()
  },
  async 'tags are assigned, listed and removed'() {
    await Template.assignTags('js-site:v1', ['stable', 'default'], connection)
    const tags = (await Template.getTags('js-site', connection)).map((each) => each.tag)
    assert.deepEqual(tags.sort(), ['default', 'stable', 'v1'])
    await Template.removeTags('js-site', 'stable', connection)
    assert.equal((await Template.getTags('js-site', connection)).length, 2)
    assert.equal(await Template.exists('js-site', connection), true)
    assert.equal(await Template.exists('js-nothing', connection), false)
  },
  async 'a failing step is an error with what it wrote'() {
    const template = Template().fromTemplate('js-site:v1').runCmd('echo why >&2; exit 4')
    await assert.rejects(Template.build(template, 'js-fails', connection), (error) =>
      error instanceof BuildError && /exit status 4\nwhy/.test(error.message))
  },
  async 'a build in the background is followed to its end'() {
    const template = Template().fromBaseImage().runCmd('echo done')
    const built = await Template.buildInBackground(template, 'js-background', connection)
    let status
    do {
      status = await Template.getBuildStatus(built, connection)
    } while (status.status === 'building' || status.status === 'waiting')
    assert.equal(status.status, 'ready')
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
