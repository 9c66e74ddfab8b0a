import type { Answer, TimedRecord } from "./answer.ts";
import { addressOf } from "./cluster-records.ts";
import type { ZoneSettings } from "./dns-settings.ts";
import { responseCode } from "./message.ts";
import { recordTypeOf } from "./record-type.ts";

/** What the settings themselves know of a name, or of an address asked for in reverse; undefined: others are to be asked. */
export function fromHosts(settings: ZoneSettings, name: string, type: string): Answer | undefined {
  const { hosts, hostsTtl_s: ttl, hostsAlone } = settings;
  const found = (answers: readonly TimedRecord[]): Answer => ({
    code: responseCode.noError,
    isAuthoritative: true,
    answers,
  });
  const addresses = hosts.get(name);
  if (addresses) {
    return found(
      addresses.flatMap((data): TimedRecord[] => {
        const own = recordTypeOf(data);
        return type === own ? [{ type: own, name, ttl, data }] : [];
      }),
    );
  }
  const names = type === "PTR" ? namesOf(settings, name) : [];
  if (names.length > 0) return found(names.map((data) => ({ type: "PTR", name, ttl, data })));
  // Without a zone of their own to name as authority, they cannot say that a name does not exist.
  return hostsAlone && hosts.size > 0 && type !== "PTR" ? { code: responseCode.serverFailure } : undefined;
}

function namesOf({ hosts, hostsReverse }: ZoneSettings, reverse: string): string[] {
  const address = hostsReverse && hosts.size > 0 ? addressOf(reverse) : undefined;
  if (address === undefined) return [];
  return [...hosts].filter(([, addresses]) => addresses.includes(address)).map(([name]) => name);
}
