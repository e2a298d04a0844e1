// One choice of dark or light for the admin and the live pages, which keep it under different names.
"use strict";

{
  const chosen = localStorage.getItem("dtq.theme");
  localStorage.setItem("theme", chosen === "dark" || chosen === "light" ? chosen : "auto");

  addEventListener("pagehide", () => {
    const theme = localStorage.getItem("theme");
    if (theme === "dark" || theme === "light") localStorage.setItem("dtq.theme", theme);
    else localStorage.removeItem("dtq.theme");
  });
}
