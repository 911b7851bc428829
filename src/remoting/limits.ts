/** What keeps one peer, or all of them, from taking everything. */
export interface RemotingLimits {
  /** Largest frame, its length prefix included. */
  maxFrameBytes: number
  /** Requests of one connection that are being worked on; beyond, SYSTEM_BUSY. Parked ones do not count. */
  maxInFlightPerConnection: number
  /** The same over all connections that share a router. */
  maxInFlight: number
  /** Bytes accepted for a peer and not written, above which its requests are answered SYSTEM_BUSY. */
  busyBytes: number
  /** Bytes accepted for a peer and not written, above which a server reads nothing more from it. */
  highWaterBytes: number
  /** The same, above which a server closes the connection, and a client asks for nothing more. */
  maxQueuedBytes: number
  /** Neither read nor written for so long: closed. */
  idleMs: number
  /** Open connections of a server. */
  maxConnections: number
}

export const defaultLimits: RemotingLimits = {
  maxFrameBytes: 16_777_216,
  maxInFlightPerConnection: 10_000,
  maxInFlight: 50_000,
  busyBytes: 33_554_432,
  highWaterBytes: 4_194_304,
  maxQueuedBytes: 134_217_728,
  idleMs: 120_000,
  maxConnections: 65_536,
}
