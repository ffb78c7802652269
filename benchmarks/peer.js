// The same as peer.py for Node: npm install ws undici, then: service.py --peer 'node benchmarks/peer.js'
const WebSocket = require('ws')
const { Pool } = require('undici')

const sink = new URL(process.env.SINK)
const connections = new Pool(sink.origin, { connections: 50, pipelining: 1 })

const stream = new WebSocket(process.env.STREAM + '/v1/events', { perMessageDeflate: false })
stream.on('message', async data => {
  const { type, action, resource_uri: uri } = JSON.parse(data)
  if (type === 'auth') return
  const body = JSON.stringify({ text: `Your ${type} was ${action}d: ${uri}` })
  const headers = { 'content-type': 'application/json' }
  const answer = await connections.request({ method: 'POST', path: sink.pathname, headers, body })
  await answer.body.dump()
})
