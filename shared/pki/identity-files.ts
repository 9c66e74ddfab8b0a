import { createPrivateKey } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { errnoOf, readIfPresent } from "../files/if-present.ts";
import { writeSecureFile } from "../files/secure-file.ts";
import type { KeyAndCertificate } from "./certificate.ts";
import { certificateSubject, parseCertificate } from "./certificate-facts.ts";
import { joinPem, splitPem } from "./pem.ts";

/**
 * What makes a board a board of its cluster, on its card: ca.crt, client.pem and board.json, and all three once more in
 * spare.json. A board forgets its join token once it has joined, so a block of the card that cannot be read must not
 * cost it its identity.
 */
const boardFile = "board.json";
const spareFile = "spare.json";

/** Whether the board has joined a cluster, as far as its card tells without being read. */
export const hasIdentity = (folder: string): boolean =>
  [boardFile, spareFile].some((file) => existsSync(join(folder, file)));

export interface BoardFile {
  readonly nodeName: string;
  readonly boardSerial: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Fingerprints of all authorities that the cluster has had since the board joined, oldest first. */
  readonly authorities?: readonly string[] | undefined;
}

export interface StoredBoard {
  readonly board: BoardFile;
  readonly caCertificatePem: string;
  readonly client: KeyAndCertificate;
}

type Found = StoredBoard | "copied" | "damaged" | undefined;

interface Place {
  readonly folder: string;
  readonly boardSerial: string;
}

/** What the card holds, checked before it is used; from the spare where the files are lost or damaged. "copied": the card, or
 *  what is on it, is another board's. */
export async function loadBoard(place: Place, log: Log): Promise<Found> {
  const { folder } = place;
  const found = check(await readFiles(folder), place);
  if (found !== undefined && found !== "damaged") return found;
  const spare = check(await readSpare(folder), place);
  if (spare === undefined || typeof spare === "string") return found;
  log.error("this board's identity was lost or damaged on its card: going on by the second copy", { folder });
  await storeBoard(folder, spare);
  return spare;
}

/** Keeps an identity, by writes of no more than what has changed. */
export async function storeBoard(folder: string, stored: StoredBoard): Promise<void> {
  const { board, caCertificatePem, client } = stored;
  await writeIfChanged(join(folder, "ca.crt"), caCertificatePem, 0o644);
  await writeIfChanged(join(folder, "client.pem"), joinPem(client));
  // Last: a start that finds it finds everything.
  await writeIfChanged(join(folder, boardFile), `${JSON.stringify(board, undefined, 2)}\n`);
  await storeSpare(folder, stored);
}

/** As `storeBoard`, where the authorities have changed: the history goes first, for by it a join token of before is known to be
 *  of this cluster. */
export async function storeTrust(folder: string, stored: StoredBoard): Promise<void> {
  await writeIfChanged(join(folder, boardFile), `${JSON.stringify(stored.board, undefined, 2)}\n`);
  await storeBoard(folder, stored);
}

const storeSpare = (folder: string, { board, caCertificatePem, client }: StoredBoard): Promise<void> =>
  writeIfChanged(join(folder, spareFile), `${JSON.stringify({ board, caCertificatePem, client: joinPem(client) })}\n`);

interface Texts {
  readonly board: string;
  readonly caCertificatePem: string;
  readonly client: string;
}

async function readFiles(folder: string): Promise<Texts | undefined> {
  const [board, caCertificatePem, client] = await Promise.all(
    [boardFile, "ca.crt", "client.pem"].map((file) => readReadable(join(folder, file))),
  );
  if (board === undefined || caCertificatePem === undefined || client === undefined) return undefined;
  return { board, caCertificatePem, client };
}

async function readSpare(folder: string): Promise<Texts | undefined> {
  try {
    const parsed: unknown = JSON.parse((await readReadable(join(folder, spareFile))) ?? "null");
    const { board, caCertificatePem, client } = (parsed ?? {}) as Partial<Record<keyof Texts, unknown>>;
    if (typeof caCertificatePem !== "string" || typeof client !== "string") return undefined;
    return { board: JSON.stringify(board) ?? "", caCertificatePem, client };
  } catch {
    // The spare is damaged itself: then there is none.
    return undefined;
  }
}

/** A block that the card no longer gives is damage as any other: it reads as nothing that makes sense. */
async function readReadable(path: string): Promise<string | undefined> {
  try {
    return await readIfPresent(path);
  } catch (error) {
    if (errnoOf(error) === "EIO") return "";
    throw error;
  }
}

function check(texts: Texts | undefined, { boardSerial }: Place): Found {
  if (texts === undefined) return undefined;
  const client = splitPem(texts.client);
  try {
    parseCertificate(texts.caCertificatePem);
    if (!client) return "damaged";
    createPrivateKey(client.keyPem);
    const { commonName } = certificateSubject(client.certificatePem);
    const board = parseBoard(texts.board) ?? {
      // The certificate knows the name, and the master tells the rest again.
      nodeName: nodeNameOf(commonName),
      boardSerial,
      settings: {},
    };
    if (board.boardSerial !== boardSerial) return "copied";
    return { board, caCertificatePem: texts.caCertificatePem, client };
  } catch {
    return "damaged";
  }
}

/** Throws for the certificate of anybody but a node. */
function nodeNameOf(commonName: string | undefined): string {
  const [, name] = /^system:node:(.+)$/.exec(commonName ?? "") ?? [];
  if (name === undefined) throw new Error(`${commonName} is no node's certificate`);
  return name;
}

function parseBoard(text: string): BoardFile | undefined {
  try {
    const { nodeName, boardSerial, settings, authorities } = JSON.parse(text) as Partial<BoardFile>;
    return nodeName && boardSerial && settings ? { nodeName, boardSerial, settings, authorities } : undefined;
  } catch {
    return undefined;
  }
}

async function writeIfChanged(path: string, text: string, mode = 0o600): Promise<void> {
  if ((await readReadable(path)) !== text) await writeSecureFile(path, text, mode);
}
