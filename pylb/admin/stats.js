document.addEventListener("change", (event) => {
  if (event.target.classList.contains("all"))
    for (const box of event.target.form.querySelectorAll('input[name="s"]')) box.checked = event.target.checked;
});
const wait = Number(document.body.dataset.refresh);
if (wait)
  setInterval(() => {
    if (!document.querySelector('input[name="s"]:checked, details[open], select:focus, input:focus')) location.reload();
  }, wait * 1000);
