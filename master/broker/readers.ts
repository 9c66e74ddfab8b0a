import { hasReason } from "#shared/api/errors.ts";
import type { Client } from "#shared/client/client.ts";
import { DelegatedAccess } from "#shared/http/delegated-access.ts";

/** Who may listen to what boards say: its name, or undefined for nobody. Rejects when the API cannot be asked. */
export type ReaderReview = (token: string) => Promise<string | undefined>;

const readingBoards = { group: "bramble.dev", version: "v1", resource: "boards", verb: "get" } as const;

/** A reader proves itself by a bearer token of the API and may what `get boards.bramble.dev` allows. */
export function reviewReaders(client: Client): ReaderReview {
  const access = new DelegatedAccess(client);
  return async (token) => {
    try {
      const caller = await access.callerByToken(token);
      const isAllowed = await access.allowsNow(caller, { resourceAttributes: readingBoards });
      return isAllowed ? caller.user : undefined;
    } catch (error) {
      if (hasReason(error, "Unauthorized")) return undefined;
      throw error;
    }
  };
}
