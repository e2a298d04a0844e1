// Dark or light, before the page is painted: what somebody chose on this device, else what the device says.
"use strict";

(() => {
  const chosen = localStorage.getItem("dtq.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
