/** What OpenAPI says of the kinds, in the form in which two servers' documents are held against each other. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";
import { comparable, type Fetch, type Json } from "../openapi/documents.ts";

const documentsFile = join(import.meta.dir, "documents.json.br");

export interface VersionDocuments {
  readonly v2: Json;
  readonly v3: Json;
}

export const loadDocuments = (): VersionDocuments =>
  JSON.parse(brotliDecompressSync(readFileSync(documentsFile)).toString()) as VersionDocuments;

export const saveDocuments = (documents: VersionDocuments): void =>
  writeFileSync(documentsFile, brotliCompressSync(JSON.stringify(documents)));

type Members = { readonly [name: string]: Json };

const isOfVersion = ([name]: readonly [string, Json]): boolean => /admissionregistration.*v1beta1/.test(name);
const ofVersion = (members: Json | undefined): Members =>
  Object.fromEntries(Object.entries((members ?? {}) as Members).filter(isOfVersion));

/** The version's whole document of OpenAPI 3, and what version 2 has under names of it. */
export async function fetchDocuments(fetched: Fetch): Promise<VersionDocuments> {
  const read = async (path: string): Promise<Members> =>
    comparable((await (await fetched(path)).json()) as Members) as Members;
  const v2 = await read("/openapi/v2");
  return {
    v2: { paths: ofVersion(v2["paths"]), definitions: ofVersion(v2["definitions"]) },
    v3: await read("/openapi/v3/apis/admissionregistration.k8s.io/v1beta1"),
  };
}
