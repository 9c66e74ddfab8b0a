import { badRequest, conflict, methodNotAllowed } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { nodes } from "#shared/api/resources.ts";
import { caPath, type JoinAnswer, type JoinRequest, joinPath } from "#shared/pki/join-protocol.ts";
import { onlyBoardOf } from "../apiserver/authz/bramble-roles.ts";
import { nodeNameOf } from "../apiserver/authz/node.ts";
import type { RequestContext } from "../apiserver/request.ts";
import type { PathAnswer } from "../apiserver/server-parts.ts";
import type { BoardClaims } from "./board-claims.ts";

export interface JoinOptions {
  /** The authorities that the cluster trusts, PEM; the first signs. */
  readonly trusted: () => string;
  readonly claims: BoardClaims;
  /** Handed to every board that joins. */
  readonly settings: Readonly<Record<string, string>>;
}

const longestText = 253;

/** The paths by which boards join, for the API server's table of non-resource paths. */
export function joinPaths(options: JoinOptions): Readonly<Record<string, PathAnswer>> {
  return {
    [caPath]: async ({ method }) => {
      assertMethod(method, "GET", "HEAD");
      return { kind: "bytes", code: 200, contentType: "application/x-pem-file", body: options.trusted() };
    },
    [joinPath]: async (context) => {
      assertMethod(context.method, "POST");
      const answer = await nameBoard(context, options);
      return { kind: "object", code: 200, value: () => answer, text: () => JSON.stringify(answer) };
    },
  };
}

async function nameBoard(context: RequestContext, { claims, settings }: JoinOptions): Promise<JoinAnswer> {
  const { hostName, boardSerial } = await joinRequestOf(context);
  const known = nodeNameOf(context.user);
  if (known !== undefined) {
    const holder = await claims.holderOf(known);
    if (holder !== undefined && holder !== boardSerial)
      throw conflict(
        nodes,
        known,
        "another board has this name: the card seems to have been copied. Join anew with the join token to get a name of its own",
      );
    if (holder === undefined) await claims.claim(known, boardSerial);
    return { nodeName: known, settings };
  }
  const only = onlyBoardOf(context.user.groups);
  const nodeName = await claims.nameOf(only ?? hostName, boardSerial);
  if (only !== undefined && nodeName !== only)
    throw conflict(nodes, only, "the join token is for this name alone, and another board has it");
  if (nodeName === undefined)
    throw conflict(nodes, hostName, "no name is left for this board: give it a host name of its own");
  return { nodeName, settings };
}

async function joinRequestOf(context: RequestContext): Promise<JoinRequest> {
  const body = await context.body.read();
  const value = body.kind === "object" ? body.object : body.kind === "bytes" ? parseJson(body.bytes) : undefined;
  const { hostName, boardSerial } = (value ?? {}) as Partial<Record<keyof JoinRequest, unknown>>;
  if (!isShortText(hostName) || !isShortText(boardSerial))
    throw badRequest("a join request names hostName and boardSerial");
  return { hostName, boardSerial };
}

const isShortText = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && value.length <= longestText;

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw badRequest(`the join request is not JSON: ${messageOf(error)}`);
  }
}

function assertMethod(method: string, ...allowed: string[]): void {
  if (!allowed.includes(method)) throw methodNotAllowed({ group: "", plural: "join" }, method.toLowerCase());
}
