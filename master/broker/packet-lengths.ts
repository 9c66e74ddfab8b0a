/**
 * Follows a stream of bytes from one MQTT packet to the next (MQTT 3.1.1, 2.2.3), to know how long each is before it has
 * come: whoever gathers a packet until it is whole keeps up to 256 MB of it.
 */
export class PacketLengths {
  /** Of the present packet, after its header: what has still to come. */
  #left_bytes = 0;
  /** Bytes of the header that were seen, and the length as far as they tell it. */
  #headerBytes = 0;
  #length_bytes = 0;

  /** The longest packet that begins in these bytes, without its header; Infinity for what is no length. */
  longestIn(bytes: Uint8Array): number {
    let longest_bytes = 0;
    for (let at = 0; at < bytes.length; ) {
      if (this.#left_bytes > 0) {
        const taken = Math.min(this.#left_bytes, bytes.length - at);
        this.#left_bytes -= taken;
        at += taken;
        continue;
      }
      const byte = bytes[at++] ?? 0;
      // The first byte says what packet it is.
      if (this.#headerBytes > 0) this.#length_bytes += (byte & 0x7f) * 128 ** (this.#headerBytes - 1);
      this.#headerBytes += 1;
      if (this.#headerBytes === 1) continue;
      if ((byte & 0x80) !== 0) {
        if (this.#headerBytes > 4) return Number.POSITIVE_INFINITY;
        continue;
      }
      longest_bytes = Math.max(longest_bytes, this.#length_bytes);
      this.#left_bytes = this.#length_bytes;
      this.#headerBytes = 0;
      this.#length_bytes = 0;
    }
    return longest_bytes;
  }
}
