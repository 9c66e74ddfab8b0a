/** A protobuf message without its schema, as nested fields: what two servers' messages are compared by. */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** `["1", value]` for each field in the order of the message; a value is a number's text, a text, or such a list. */
export type Fields = readonly (readonly [string, string | Fields])[];

/** The fields of a message; undefined where these bytes are none. */
export function fieldsOfMessage(bytes: Uint8Array): Fields | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: [string, string | Fields][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new RangeError("cut off");
    at += length;
    return bytes.subarray(at - length, at);
  };
  try {
    while (at < bytes.length) {
      const tag = Number(varint());
      const field = tag >>> 3;
      if (field === 0) return undefined;
      const type = tag & 7;
      if (type === VARINT) fields.push([String(field), String(varint())]);
      else if (type === BYTES) fields.push([String(field), textOrFields(take(Number(varint())))]);
      else if (type === FIXED64 || type === FIXED32)
        fields.push([String(field), Buffer.from(take(type === FIXED64 ? 8 : 4)).toString("hex")]);
      else return undefined;
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return fields;
}

/** Before a message that stands in another one as an object of any kind. */
const MARK = Buffer.from("k8s\0");

function textOrFields(bytes: Uint8Array): string | Fields {
  if (MARK.equals(bytes.subarray(0, MARK.length)))
    return fieldsOfMessage(bytes.subarray(MARK.length)) ?? Buffer.from(bytes).toString("base64");
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return `"${Buffer.from(bytes).toString()}"`;
  return fieldsOfMessage(bytes) ?? Buffer.from(bytes).toString("base64");
}
