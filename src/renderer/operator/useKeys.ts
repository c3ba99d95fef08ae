// Listens to the keyboard for a whole screen. Knows nothing about what the actions do.
import { useEffect, useRef } from "react";
import { actionFor, type Action, type Place } from "./keys.ts";

export interface KeysOptions {
  readonly place: Place;
  readonly dialogOpen: boolean;
  readonly mayOperate: boolean;
  readonly run: (action: Action) => void;
  /** Asked before the table; true = it took the key. */
  readonly first: ((key: string) => boolean) | null;
}

export function useKeys(options: KeysOptions): void {
  const latest = useRef(options);
  latest.current = options;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const { place, dialogOpen, mayOperate, run, first } = latest.current;
      const focus = describeFocus(document.activeElement);
      if (event.defaultPrevented) return;
      if (first !== null && !focus.typing && !event.ctrlKey && !event.metaKey && !event.altKey && first(event.key)) return event.preventDefault();
      // Also a dialog that some part of the screen opened by itself.
      const action = actionFor(event, { place, dialogOpen: dialogOpen || document.querySelector("dialog[open]") !== null, mayOperate, ...focus });
      if (action === null) return;
      event.preventDefault();
      run(action);
    };
    // A whole screen that lies over this one keeps its keys to itself; juice is given all the same.
    const onRewardKey = (event: KeyboardEvent): void => {
      const { place, mayOperate, run } = latest.current;
      if (document.querySelector("dialog[open]") === null) return;
      const action = actionFor(event, { place, dialogOpen: true, mayOperate, ...describeFocus(document.activeElement) });
      if (action !== "reward" && action !== "rewardShorter" && action !== "rewardLonger") return;
      event.preventDefault();
      event.stopImmediatePropagation();
      run(action);
    };
    window.addEventListener("keydown", onKey);
    window.addEventListener("keydown", onRewardKey, true);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener("keydown", onRewardKey, true);
    };
  }, []);
}

function describeFocus(element: Element | null): { readonly typing: boolean; readonly onControl: boolean } {
  const typing = element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement || (element instanceof HTMLInputElement && !["button", "checkbox", "radio"].includes(element.type));
  const onControl = element instanceof HTMLElement && element.matches("button, a, summary, input[type=checkbox], input[type=radio]") && element.matches(":focus-visible");
  return { typing, onControl };
}
