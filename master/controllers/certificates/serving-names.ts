/** For which names and addresses a board may get a serving certificate by itself. Pure. */
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Node, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { type Cidr, contains, parseCidr } from "#shared/board/cidr.ts";
import type { NamedSubject } from "#shared/pki/certificate-facts.ts";
import { controlPlaneRole } from "../../own-board.ts";
import { isNodeReady } from "../node/health.ts";

/** Who else there is: a board writes its own Node, so what stands there is only its word. */
export interface Neighbours {
  readonly nodes: readonly Node[];
  /** The Service `kubernetes`, and where it leads. */
  readonly apiService: Service | undefined;
  readonly apiEndpoints: EndpointSlice | undefined;
  /** Further names and addresses under which clients reach API servers. */
  readonly apiNames: readonly string[];
}

/** By these every API server is called, or a process on the same board. */
const reservedNames: readonly string[] = ["kubernetes", "localhost"];

/** Addresses that many have, that none has, or that are another's in disguise (an IPv4 address mapped into IPv6). */
const nobodys = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  ...["::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
].flatMap((network) => parseCidr(network) ?? []);

/**
 * Whether the names and addresses asked for are the board's own, as far as the cluster knows: those of its Node, of no other board
 * that is Ready, and not the API servers', unless it is a master's board. All clients of the API trust the authority that signs, so
 * a certificate for an API server's address would let a stolen board stand in for it.
 */
export function mayServe({ spec }: CertificateSigningRequest, asked: NamedSubject, neighbours: Neighbours): boolean {
  const { username = "", groups = [] } = spec;
  if (asked.commonName !== username || !groups.includes("system:nodes")) return false;
  const name = username.replace(/^system:node:/, "");
  const node = neighbours.nodes.find(({ metadata }) => metadata.name === name);
  if (!node) return false;
  const isMasters = node.metadata.labels?.[controlPlaneRole] !== undefined;
  const taken = takenBy(name, neighbours, isMasters);
  // Both lists are the board's own, and may be long.
  const own = new Set(addressesOf(node));
  return (
    asked.dnsNames.every((dnsName) => dnsName === name && (isMasters || !isApiName(dnsName, neighbours))) &&
    [...new Set(asked.ipAddresses)].every((ip) => own.has(ip) && isFree(ip, taken))
  );
}

const isApiName = (name: string, { apiNames }: Neighbours): boolean =>
  [...reservedNames, ...apiNames].some((each) => each.toLowerCase() === name.toLowerCase());

/** What the board may not call its own. */
function takenBy(name: string, { nodes, apiService, apiEndpoints, apiNames }: Neighbours, isMasters: boolean): Cidr[] {
  // Of a board that is away, the address may be another's by now.
  const others = nodes.filter((other) => other.metadata.name !== name && isNodeReady(other)).flatMap(addressesOf);
  const masters = [...(apiEndpoints?.endpoints ?? []).flatMap(({ addresses }) => addresses), ...apiNames];
  const { clusterIP = "", clusterIPs = [] } = apiService?.spec ?? {};
  const taken = [...others, ...(isMasters ? [] : masters), clusterIP, ...clusterIPs];
  return [...nobodys, ...taken.flatMap((address) => parseCidr(address) ?? [])];
}

function isFree(ip: string, taken: readonly Cidr[]): boolean {
  const address = parseCidr(ip);
  return address !== undefined && !taken.some((network) => contains(network, address));
}

/** All that a Node says of itself that counts for anybody's certificate. */
export const servingFacts = (node: Node): string =>
  JSON.stringify([node.metadata.labels?.[controlPlaneRole] !== undefined, addressesOf(node), isNodeReady(node)]);

const addressesOf = ({ status }: Node): string[] => (status?.addresses ?? []).map(({ address }) => address);
