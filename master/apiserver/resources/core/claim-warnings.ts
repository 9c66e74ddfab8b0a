/** What people are told about a claim that is valid and still probably not meant so (pkg/api/persistentvolumeclaim). */
import { milliValue, parseQuantity } from "#shared/api/quantity.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import { storageClassAnnotation } from "#shared/api/storage-class-name.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "#shared/api/types/core-v1.generated.ts";

export function claimWarnings({ metadata, spec }: PersistentVolumeClaim): string[] {
  const named =
    metadata.annotations?.[storageClassAnnotation] === undefined
      ? []
      : [
          `metadata.annotations[${storageClassAnnotation}]: deprecated since v1.8; use "storageClassName" attribute instead`,
        ];
  return [...named, ...claimSpecWarnings(spec, "spec")];
}

/** @param at the path of the claim's spec */
export function claimSpecWarnings({ resources }: PersistentVolumeClaimSpec, at: string): string[] {
  return (["requests", "limits"] as const).flatMap((which) => {
    const amount = resources?.[which]?.["storage"];
    if (amount === undefined || milliValue(parseQuantity(String(amount))) % 1000 === 0) return [];
    const place = `${at}.resources.${which}[storage]`;
    return [`${place}: fractional byte value ${goQuote(String(amount))} is invalid, must be an integer`];
  });
}
