/** What masters announce themselves as (DNS-SD). */
export const serviceType = "_bramble._tcp.local";
export const mdnsGroup = "224.0.0.251";
/** In IPv6 a group is one of a link: the interface goes with it. */
export const mdnsGroupV6 = (interfaceName: string): string => `ff02::fb%${interfaceName}`;
export const mdnsPort = 5353;

/** Whether the bytes can be a question for masters, told without decoding: a LAN is full of questions for others. */
export function mayAsk(message: Uint8Array): boolean {
  const isQuery = message.length > 12 && ((message[2] ?? 0) & 0x80) === 0;
  return isQuery && labels.some((label) => bytesOf(message).includes(label, 0, "latin1"));
}

const labels = ["_bramble", "_services", "bramble-"];

const bytesOf = (message: Uint8Array): Buffer => Buffer.from(message.buffer, message.byteOffset, message.byteLength);
