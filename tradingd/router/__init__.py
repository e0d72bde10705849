"""4. How we do it: order lifecycle, execution algorithms, protection and exits."""
