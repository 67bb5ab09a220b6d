"""Small model files that the installed frameworks can no longer write, and the script that wrote them."""
