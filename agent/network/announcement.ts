import { type Cidr, parseCidr } from "#shared/board/cidr.ts";
import { isRecord } from "./cni-config.ts";
import type { CniResult } from "./cni-plugins.ts";

/** Frames that tell everybody on the link of an interface whose its addresses are. */
export interface Announcement {
  /** The name of the interface, in the pod. */
  readonly device: string;
  readonly frames: readonly Uint8Array[];
}

/**
 * How a pod's new addresses are announced: a pod may get one that another pod had just before, and who talked to that one
 * (the board too) would go on sending to its link address, until neighbour unreachability detection notices after some
 * eight seconds. The bridge plugin leaves it to the kernel (`arp_notify`), which does so before the bridge forwards
 * anything. Pure: from the result of ADD; undefined where that tells no link address.
 */
export function announcementOf(result: CniResult, device: string): Announcement | undefined {
  const interfaces = Array.isArray(result["interfaces"]) ? result["interfaces"] : [];
  const own: unknown = interfaces.find(
    (entry: unknown) => isRecord(entry) && entry["name"] === device && Boolean(entry["sandbox"]),
  );
  const link = isRecord(own) ? linkAddress(own["mac"]) : undefined;
  if (link === undefined) return undefined;
  const at = interfaces.indexOf(own);
  const ips = Array.isArray(result["ips"]) ? result["ips"] : [];
  const frames = ips.flatMap((entry: unknown) => {
    if (!isRecord(entry) || (entry["interface"] ?? at) !== at) return [];
    return announcementFrames(link, [String(entry["address"])]);
  });
  return { device, frames };
}

/** A frame for each of the addresses of an interface with this link address; with their lengths or without. */
export function announcementFrames(link: Buffer, addresses: readonly string[]): Uint8Array[] {
  return addresses.flatMap((text) => {
    const address = parseCidr(text);
    if (address === undefined) return [];
    return [address.bits === 32 ? arpAnnouncement(link, address) : neighbourAdvertisement(link, address)];
  });
}

const broadcast = Buffer.from("ffffffffffff", "hex");

/** An ARP request for the own address (RFC 5227, 3): receivers that have an entry for it take the link address over. */
function arpAnnouncement(link: Buffer, address: Cidr): Uint8Array {
  const ip = bytesOf(address);
  // Ethernet and IPv4, addresses of six and four bytes, a request.
  const head = Buffer.from("0001080006040001", "hex");
  return Buffer.concat([broadcast, link, Buffer.from("0806", "hex"), head, link, ip, Buffer.alloc(6), ip]);
}

const allNodes = Buffer.from("ff020000000000000000000000000001", "hex");
const allNodesLink = Buffer.from("333300000001", "hex");
const icmpV6 = 58;

/** An unsolicited neighbour advertisement that overrides (RFC 4861, 7.2.6), to all nodes of the link. */
function neighbourAdvertisement(link: Buffer, address: Cidr): Uint8Array {
  const ip = bytesOf(address);
  // Type 136, code 0, checksum, the override flag; at the end the option "target link-layer address" of eight bytes.
  const message = Buffer.concat([Buffer.from("8800000020000000", "hex"), ip, Buffer.from("0201", "hex"), link]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  const pseudoHeader = Buffer.concat([ip, allNodes, length, Buffer.from([0, 0, 0, icmpV6])]);
  message.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, message])), 2);
  // Version 6, no class and flow; 255 hops, or receivers take it for one from outside.
  const header = Buffer.concat([Buffer.from("60000000", "hex"), length.subarray(2), Buffer.from([icmpV6, 255])]);
  return Buffer.concat([allNodesLink, link, Buffer.from("86dd", "hex"), header, ip, allNodes, message]);
}

/** The Internet's checksum (RFC 1071), of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function bytesOf({ bits, address }: Cidr): Buffer {
  return Buffer.from(address.toString(16).padStart(bits / 4, "0"), "hex");
}

function linkAddress(mac: unknown): Buffer | undefined {
  if (typeof mac !== "string" || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) return undefined;
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}
