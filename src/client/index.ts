/** The client: what `import … from 'cometmq-client'` and `from 'cometmq'` give. */
export { bytes, type Codec, json, type Topic, text } from './codec.ts'
export { CometMQ, type CometMQOptions } from './cometmq.ts'
export { Consumer, type ConsumerOptions, type Delivery, type MessageHandler } from './consumer.ts'
export { CometError, type ErrorDetails } from './errors.ts'
export type { Message } from './message.ts'
export { Producer, type ProducerOptions, type Receipt, type SendOptions } from './producer.ts'
