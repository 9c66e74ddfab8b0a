import { X509Certificate } from "node:crypto";
import { badRequest, forbidden, isNotFound, methodNotAllowed } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { nodes } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { extendedKeyUsages, parseCertificateDer, subjectOf } from "#shared/pki/certificate-facts.ts";
import { placeOrder } from "#shared/pki/certificate-order.ts";
import { parseCertificateRequest } from "#shared/pki/certificate-request.ts";
import { isRenewalProof, type RenewalRequest, renewalGrace_ms, renewalPath } from "#shared/pki/renewal-protocol.ts";
import { kubeletClientUsages, signerNames } from "#shared/pki/signers.ts";
import type { RequestContext } from "../apiserver/request.ts";
import type { PathAnswer } from "../apiserver/server-parts.ts";
import type { BoardClaims } from "./board-claims.ts";

export interface RenewalOptions {
  /** Authorities by which boards have or had their certificates, PEM. */
  readonly authorities: () => string;
  readonly claims: Pick<BoardClaims, "holderOf">;
  readonly client: Client;
  /** The API as a board sees it: the request for the certificate is the board's own. */
  readonly clientOfNode: (nodeName: string) => Client;
  readonly log: Log;
  readonly now_ms?: (() => number) | undefined;
}

const longest_bytes = 16 * 1024;
const patience_ms = 30_000;

/** Where boards whose certificate has run out get another one (renewal-protocol.ts). Open to everybody: the request
 *  proves itself. */
export function renewalPaths(options: RenewalOptions): Readonly<Record<string, PathAnswer>> {
  return {
    [renewalPath]: async (context) => {
      if (context.method !== "POST")
        throw methodNotAllowed({ group: "", plural: "renew" }, context.method.toLowerCase());
      const answer = { certificate: await renew(await renewalRequestOf(context), options) };
      return { kind: "object", code: 200, value: () => answer, text: () => JSON.stringify(answer) };
    },
  };
}

async function renew(request: RenewalRequest, options: RenewalOptions): Promise<string> {
  const { log, claims, client, clientOfNode } = options;
  const { nodeName, problem } = await examine(request, options);
  const refuse = (why: string): never => {
    log.warn("a board's certificate is not renewed", { node: nodeName ?? "unknown", why });
    throw forbidden({ group: "", plural: "nodes" }, nodeName ?? "", `the certificate is not renewed: ${why}`);
  };
  if (nodeName === undefined || problem !== undefined) return refuse(problem ?? "it is no board's");
  if ((await claims.holderOf(nodeName)) !== request.boardSerial)
    return refuse("another board has the name: join anew with a token");
  try {
    await client.get(nodes, { name: nodeName });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return refuse("the Node was deleted: join anew with a token");
  }
  log.info("renewing the certificate of a board that was away", { node: nodeName });
  return placeOrder(clientOfNode(nodeName), {
    signer: signerNames.kubeletClient,
    usages: kubeletClientUsages,
    namePrefix: `board-${nodeName}`,
    requestPem: request.request,
    patience_ms,
  });
}

/** What can be said from the request alone: whose it is, and why it is not granted. */
async function examine(
  { certificate, request, proof }: RenewalRequest,
  { authorities, now_ms = Date.now }: RenewalOptions,
): Promise<{ readonly nodeName?: string; readonly problem?: string }> {
  let old: X509Certificate;
  try {
    old = new X509Certificate(certificate);
  } catch {
    return { problem: "the old certificate cannot be read" };
  }
  if (!splitCertificates(authorities()).some((pem) => old.verify(new X509Certificate(pem).publicKey)))
    return { problem: "the old certificate is not of this cluster" };
  // Only by the bytes that were verified: in a text with several parts each reader finds another certificate, or a key.
  const { subjectName, extendedUsages, notAfter } = parseCertificateDer(old.raw);
  const { commonName, organizations } = subjectOf(subjectName);
  const prefix = "system:node:";
  const isBoards = commonName.startsWith(prefix) && organizations.length === 1 && organizations[0] === "system:nodes";
  if (!isBoards || !extendedUsages.includes(extendedKeyUsages.clientAuth))
    return { problem: "the old certificate is not a board's" };
  const nodeName = commonName.slice(prefix.length);
  if (now_ms() > notAfter.getTime() + renewalGrace_ms)
    return { nodeName, problem: "it ran out too long ago: join anew with a token" };
  try {
    if (!isRenewalProof(proof, old.publicKey, request)) return { nodeName, problem: "the old key did not sign it" };
    const asked = await parseCertificateRequest(request);
    // What else is asked for, the signer judges.
    if (asked.commonName !== commonName) return { nodeName, problem: "it asks for another name" };
  } catch (error) {
    return { nodeName, problem: messageOf(error) };
  }
  return { nodeName };
}

async function renewalRequestOf(context: RequestContext): Promise<RenewalRequest> {
  const body = await context.body.read();
  const value =
    body.kind === "object"
      ? body.object
      : body.kind === "bytes" && body.bytes.length <= longest_bytes
        ? parseJson(body.bytes)
        : undefined;
  const { certificate, request, proof, boardSerial } = (value ?? {}) as Partial<Record<keyof RenewalRequest, unknown>>;
  if (
    typeof certificate !== "string" ||
    typeof request !== "string" ||
    typeof proof !== "string" ||
    typeof boardSerial !== "string"
  )
    throw badRequest("a renewal request names certificate, request, proof and boardSerial");
  return { certificate, request, proof, boardSerial };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw badRequest(`the renewal request is not JSON: ${messageOf(error)}`);
  }
}
